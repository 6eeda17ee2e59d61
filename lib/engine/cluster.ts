/** The journal in NATS JetStream: many servers, one chat. */
import { setTimeout as sleep } from "node:timers/promises";
import { conflict } from "../chat/step.ts";
import type { SharedEntry } from "../chat/entry.ts";
import { emptyChat, RULES } from "../chat/state.ts";
import { messageOf } from "../errors.ts";
import { JournalError, known } from "../journal/journal.ts";
import type { Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import { NatsStream } from "../journal/nats/stream.ts";
import { type ServerOptions } from "../options.ts";
import { flagName } from "../flags.ts";
import { differences, type Settings, settingsOf } from "../chat/settings.ts";
import { SharedJournal, type SharingOptions } from "../journal/shared_journal.ts";
import { encodeEntries } from "../chat/entry_codec.ts";
import { GroupCommit } from "./group_commit.ts";
import { NO_SESSION } from "../chat/users.ts";

/** While much is read, a line of progress is due so often, in milliseconds. */
const PROGRESS_MS = 1_000;
/** It is looked so often whether all is read, in milliseconds. */
const LOOK_MS = 10;

/** What a server that takes part needs. */
export interface NatsContext {
  readonly log: Log;
  readonly meter?: Meter | undefined;
  /** It can't take part any more. */
  readonly failed: (error: Error) => void;
  /** The chat is not begun where there is none. */
  readonly mustExist?: boolean;
  /** See {@link SharingOptions}. */
  readonly snapshotEntries?: SharingOptions["snapshotEntries"];
}

/** A chat that is read to its end, and goes on being read. */
interface Reading {
  readonly stream: NatsStream;
  readonly journal: SharedJournal;
  readonly commits: GroupCommit;
  readonly log: Log;
}

/** Takes part in the chat that the stream holds. Throws {@link JournalError}. */
export function openNats(options: ServerOptions, context: NatsContext): Promise<GroupCommit> {
  return withReading(options, context, async (reading) => {
    const { journal, commits } = reading;
    const settings = settingsOf(options);
    checkRoom(reading, options);
    if (differing(commits, settings) !== undefined) await endSilent(reading);
    const why = differing(commits, settings) ?? conflict(commits.published, settings);
    if (why !== undefined) throw new JournalError(`The chat in NATS can't go on: ${why}`);
    await journal.join();
    return commits;
  });
}

/**
 * Raises the rules of the chat to those of this release, when all servers know them; in words, what
 * was done. Throws {@link JournalError}.
 */
export function raiseRules(options: ServerOptions, context: NatsContext): Promise<string> {
  return withReading(options, { ...context, mustExist: true }, async (reading) => {
    const { stream, commits } = reading;
    const { rules } = commits.published;
    if (rules === RULES) {
      await stream.close();
      return `The rules of ${options.stream} are ${rules} already: there is nothing to raise`;
    }
    if (rules < RULES) await endSilent(reading);
    await append(reading, { kind: "raise", rules: RULES });
    await stream.close();
    const { all } = commits.published.members;
    const old = all.filter((member) => member.rules < RULES).length;
    if (old === 0) return `The rules of ${options.stream} were ${rules}, and are ${RULES} now`;
    throw new JournalError(
      `The rules of ${options.stream} stay ${rules}: ${old} of ${all.length} servers do not know ` +
        `${RULES}. Upgrade them first`,
    );
  });
}

/** Reads the chat to its end, and goes on reading while something is done with it. */
async function withReading<Result>(
  options: ServerOptions,
  context: NatsContext,
  work: (reading: Reading) => Promise<Result>,
): Promise<Result> {
  const { log, meter, mustExist = false, snapshotEntries } = context;
  const failed = (error: unknown) => context.failed(toJournalError(error));
  const tell = (event: string) => (error: unknown) =>
    log.event(event, { error: toJournalError(error).message });
  const [waiting, snapshotFailed] = [tell("waiting-for-nats"), tell("snapshot-failed")];
  const stream = await NatsStream.open(options, { waiting, snapshotFailed, failed }, mustExist);
  try {
    const settings = settingsOf(options);
    const { state, through } = await stream.snapshots.load() ??
      { state: emptyChat(settings), through: 0 };
    const journal = new SharedJournal(stream, through, {
      settings,
      timeoutMs: 1_000 * options.journalTimeoutS,
      bodyLengthMax: stream.bodyLengthMax,
      newId: () => crypto.randomUUID(),
      failed,
      ...snapshotEntries && { snapshotEntries },
    });
    const commits = new GroupCommit(known(state), journal, log, meter);
    const reading = { stream, journal, commits, log };
    await checkEnd(reading);
    stream.follow(journal);
    await catchUp(reading);
    return await work(reading);
  } catch (error) {
    await stream.close();
    throw toJournalError(error);
  }
}

/** Waits until all is read that is in the stream now. */
async function catchUp({ stream, journal, log }: Reading): Promise<void> {
  const end = await stream.end();
  let tell = performance.now() + PROGRESS_MS;
  while (journal.through < end) {
    await sleep(LOOK_MS);
    if (performance.now() < tell) continue;
    tell += PROGRESS_MS;
    log.event("reading", { commits: journal.through, of: end });
  }
}

/** Is the stream as long as the snapshot says? */
async function checkEnd({ stream, journal }: Reading): Promise<void> {
  const end = await stream.end();
  if (end >= journal.through) return;
  throw new JournalError(
    `The stream ends at message ${end}, and a snapshot was made of ${journal.through}: messages ` +
      "were lost, or the stream was made anew",
  );
}

/** Stores an entry of no member, and waits until it has come. */
async function append(reading: Reading, entry: SharedEntry): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const sent = (error: unknown) => error === undefined ? resolve() : reject(error);
    reading.stream.send(crypto.randomUUID(), encodeEntries([entry]), sent);
  });
  await catchUp(reading);
}

/** Members that do not answer are over. */
async function endSilent(reading: Reading): Promise<void> {
  for (const { id: member } of reading.commits.published.members.all) {
    if (await reading.stream.ask(member, NO_SESSION)) continue;
    await append(reading, { kind: "leave", at: Date.now(), member });
  }
}

/** Which settings of the servers that take part are others; `undefined` where none is. */
function differing({ published }: GroupCommit, settings: Settings): string | undefined {
  if (published.members.all.length === 0) return undefined;
  const names = differences(published.settings, settings);
  if (names.length === 0) return undefined;
  const list = names.map((name) =>
    `${flagName(name)} is ${published.settings[name]} there and ${settings[name]} here`
  );
  return `${list.join(", ")}. Start it with the same, or stop the other servers first`;
}

/** Can every entry be stored? */
function checkRoom({ stream: { bodyLengthMax } }: Reading, options: ServerOptions): void {
  // In JSON a symbol may take 6 characters.
  const needed = 6 * (options.textSymbolsMax + options.nameSymbolsMax) + 1_000;
  if (needed <= bodyLengthMax) return;
  throw new JournalError(
    `A message of NATS has room for an entry of ${bodyLengthMax} characters, and with ` +
      `--text-symbols-max ${options.textSymbolsMax} it may need ${needed}: choose a lower one, or ` +
      "raise max_payload of NATS",
  );
}

function toJournalError(error: unknown): JournalError {
  if (error instanceof JournalError) return error;
  return new JournalError(`The chat in NATS can't be read: ${messageOf(error)}`, { cause: error });
}
