/** Opens a chat in NATS JetStream that several servers share, joins it, and raises its rules. */
import { setTimeout as sleep } from "node:timers/promises";
import { conflict } from "../chat/step.ts";
import type { SharedEntry } from "../chat/entry.ts";
import { emptyChat, RULES } from "../chat/state.ts";
import { messageOf } from "../errors.ts";
import { JournalError, requireKnownRules } from "../journal/journal.ts";
import type { Log } from "../log.ts";
import type { Meter } from "../meter.ts";
import { NatsStream } from "../journal/nats/stream.ts";
import type { ServerOptions } from "../options.ts";
import { flagName } from "../flags.ts";
import { differences, type Settings, settingsOf } from "../chat/settings.ts";
import { SharedJournal, type SharingOptions } from "../journal/shared_journal.ts";
import { encodeEntries } from "../chat/entry_codec.ts";
import { SharedCommits } from "./shared_commits.ts";
import { NO_SESSION } from "../chat/users.ts";

/** While the stream is read at the start, its progress is logged at this interval (ms). */
const PROGRESS_MS = 1_000;
/** Meanwhile it is checked for its end at this interval (ms). */
const CATCH_UP_CHECK_MS = 10;

export interface NatsContext {
  readonly log: Log;
  readonly meter?: Meter | undefined;
  /** Called when this server can't take part in the chat any more. */
  readonly failed: (error: Error) => void;
  /** See {@link SharingOptions}. */
  readonly snapshotEntries?: SharingOptions["snapshotEntries"];
}

/** A chat whose stream is read to its end, and followed from there. */
interface Reading {
  readonly stream: NatsStream;
  readonly journal: SharedJournal;
  readonly commits: SharedCommits;
  readonly log: Log;
}

/** Joins the chat in the stream of these options. Throws {@link JournalError}. */
export function openNats(options: ServerOptions, context: NatsContext): Promise<SharedCommits> {
  return withReading(options, context, false, async (reading) => {
    const { journal, commits } = reading;
    const settings = settingsOf(options);
    checkEntryLength(reading, options);
    if (differingSettings(commits, settings) !== undefined) await endSilent(reading);
    const why = differingSettings(commits, settings) ?? conflict(commits.published, settings);
    if (why !== undefined) throw new JournalError(`The chat in NATS can't go on: ${why}`);
    commits.storedAt = commits.published.members.at;
    await journal.join();
    return commits;
  });
}

/**
 * Raises the rules of the chat to those of this release. Resolves to a sentence that says what was
 * done. Throws {@link JournalError}, also where a member does not know these rules.
 */
export function raiseRules(options: ServerOptions, context: NatsContext): Promise<string> {
  return withReading(options, context, true, async (reading) => {
    const { stream, commits } = reading;
    const { rules } = commits.published;
    if (rules < RULES) {
      await endSilent(reading);
      await append(reading, { kind: "raise", rules: RULES });
    }
    await stream.close();
    if (rules === RULES) {
      return `The rules of ${options.stream} are ${rules} already: there is nothing to raise`;
    }
    const { all } = commits.published.members;
    const old = all.filter((member) => member.rules < RULES).length;
    if (old === 0) return `The rules of ${options.stream} were ${rules}, and are ${RULES} now`;
    throw new JournalError(
      `The rules of ${options.stream} stay ${rules}: ${old} of ${all.length} servers do not know ` +
        `${RULES}. Upgrade them first`,
    );
  });
}

/**
 * Reads the stream to its end, follows it, and calls `work`. The stream is made if it does not exist,
 * unless it must exist. It is closed where that fails, and stays open where it succeeds. Throws
 * {@link JournalError}.
 */
async function withReading<Result>(
  options: ServerOptions,
  context: NatsContext,
  mustExist: boolean,
  work: (reading: Reading) => Promise<Result>,
): Promise<Result> {
  const { log, meter, snapshotEntries } = context;
  const failed = (error: unknown) => context.failed(toJournalError(error));
  const logs = (event: string) => (error: unknown) => log.event(event, { error: messageOf(error) });
  const listener = {
    waiting: logs("waiting-for-nats"),
    snapshotFailed: logs("snapshot-failed"),
    refused: (why: string) => log.refused("", "not-stored", { error: why }),
    failed,
  };
  const stream = await NatsStream.open(options, listener, mustExist);
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
    const commits = new SharedCommits(requireKnownRules(state), journal, log, meter);
    const reading = { stream, journal, commits, log };
    const end = await stream.end();
    if (end < through) {
      throw new JournalError(
        `The stream ends at message ${end}, and a snapshot was made of ${through}: messages were ` +
          "lost, or the stream was deleted and made again",
      );
    }
    stream.follow(journal);
    await catchUp(reading, end);
    return await work(reading);
  } catch (error) {
    await stream.close();
    throw toJournalError(error);
  }
}

/** Waits until the message of the number `end` is read. */
async function catchUp({ journal, log }: Reading, end: number): Promise<void> {
  let progressAt = performance.now() + PROGRESS_MS;
  while (journal.through < end) {
    if (journal.lost !== undefined) throw journal.lost;
    await sleep(CATCH_UP_CHECK_MS);
    if (performance.now() < progressAt) continue;
    progressAt += PROGRESS_MS;
    log.event("reading", { commits: journal.through, of: end });
  }
}

/** Stores an entry that belongs to no member, and waits until it has come back. */
async function append(reading: Reading, entry: SharedEntry): Promise<void> {
  const { stream } = reading;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const sent = (error: unknown) => error === undefined ? resolve() : reject(error);
  stream.send(crypto.randomUUID(), encodeEntries([entry]), sent);
  await promise;
  await catchUp(reading, await stream.end());
}

/** Ends the members that do not answer. */
async function endSilent(reading: Reading): Promise<void> {
  for (const { id: member } of reading.commits.published.members.all) {
    if (await reading.stream.ask(member, NO_SESSION)) continue;
    await append(reading, { kind: "leave", at: Date.now(), member });
  }
}

/** Says how the settings differ from those of the members; `undefined` where they do not. */
function differingSettings({ published }: SharedCommits, settings: Settings): string | undefined {
  if (published.members.all.length === 0) return undefined;
  const names = differences(published.settings, settings);
  if (names.length === 0) return undefined;
  const list = names.map((name) =>
    `${flagName(name)} is ${published.settings[name]} there and ${settings[name]} here`
  );
  return `${list.join(", ")}. Start it with the same, or stop the other servers first`;
}

/** Throws where an entry may be too long for a message of NATS. */
function checkEntryLength({ stream: { bodyLengthMax } }: Reading, options: ServerOptions): void {
  // JSON writes a symbol with up to 6 characters.
  const needed = 6 * (options.textSymbolsMax + options.nameSymbolsMax) + 1_000;
  if (needed <= bodyLengthMax) return;
  throw new JournalError(
    `A message of NATS has room for an entry of ${bodyLengthMax} characters, and with ` +
      `--text-symbols-max ${options.textSymbolsMax} it may need ${needed}: choose a lower one, or ` +
      "raise max_payload of NATS and max_msg_size of the stream",
  );
}

function toJournalError(error: unknown): JournalError {
  if (error instanceof JournalError) return error;
  return new JournalError(`The chat in NATS can't be read: ${messageOf(error)}`, { cause: error });
}
