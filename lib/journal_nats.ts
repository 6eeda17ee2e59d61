/** The journal in NATS JetStream: many servers, one chat. */
import { conflict, emptyChat, type Entry } from "./chat.ts";
import { JournalError, known } from "./journal.ts";
import type { Log } from "./log.ts";
import type { Meter } from "./meter.ts";
import { NatsStream } from "./nats_stream.ts";
import { flagName, type ServerOptions, settingsOf } from "./options.ts";
import { differences, type Settings } from "./settings.ts";
import { SharedJournal, type SharingOptions } from "./shared_journal.ts";
import { turnText } from "./turn_text.ts";
import { Turns } from "./turns.ts";

/** While much is read, a line of progress is due so often, in milliseconds. */
const PROGRESS_MS = 1_000;
const LOOK_MS = 10;

/** Hears what is wrong with a journal. */
export type Failed = (error: Error) => void;

/**
 * Takes part in the chat that the stream holds, as soon as all of it is read; `failed` is called
 * where that comes to an end. Throws {@link JournalError}.
 */
export async function openNats(
  options: ServerOptions,
  log: Log,
  meter: Meter | undefined,
  failed: Failed,
  snapshotEntries?: SharingOptions["snapshotEntries"],
): Promise<Turns> {
  const fail = (error: unknown) => failed(error instanceof Error ? error : new Error(`${error}`));
  const stream = await NatsStream.open(options, {
    snapshotFailed: (error) => log.event("snapshot-failed", { error: messageOf(error) }),
    failed: fail,
  });
  try {
    const settings = settingsOf(options);
    checkRoom(stream, options);
    const { state, through } = await stream.snapshots.load() ??
      { state: emptyChat(settings), through: 0 };
    await checkEnd(stream, through);
    const journal = new SharedJournal(stream, through, {
      settings,
      timeoutMs: 1_000 * options.journalTimeoutS,
      bodyLengthMax: stream.bodyLengthMax,
      newId: () => crypto.randomUUID(),
      failed: fail,
      ...snapshotEntries && { snapshotEntries },
    });
    const turns = new Turns(known(state), journal, log, meter);
    stream.follow(journal);
    await catchUp(stream, journal, log);
    if (differences(turns.published.settings, settings).length > 0) {
      await removeSilent(stream, journal, turns, log);
    }
    const why = differing(turns, settings) ?? conflict(turns.published, settings);
    if (why !== undefined) throw new JournalError(`The chat in NATS can't go on: ${why}`);
    await journal.join();
    return turns;
  } catch (error) {
    await stream.close();
    throw error instanceof JournalError
      ? error
      : new JournalError(`The chat in NATS can't be read: ${messageOf(error)}`);
  }
}

/** Can every entry be stored? */
function checkRoom({ bodyLengthMax }: NatsStream, options: ServerOptions): void {
  // In JSON a symbol may take 6 characters.
  const needed = 6 * (options.textSymbolsMax + options.nameSymbolsMax) + 1_000;
  if (needed <= bodyLengthMax) return;
  throw new JournalError(
    `A message of NATS has room for a text of ${bodyLengthMax} characters, and with ` +
      `--text-symbols-max ${options.textSymbolsMax} ${needed} are needed: choose a lower one, or ` +
      "raise max_payload of NATS",
  );
}

/** Is what the snapshot was made of in the stream, or was it? */
async function checkEnd(stream: NatsStream, through: number): Promise<void> {
  const end = await stream.end();
  if (through <= end) return;
  throw new JournalError(
    `The stream ends at message ${end}, and a snapshot was made of ${through}: messages were lost, ` +
      "or the stream was made anew",
  );
}

/** Waits until all is read that is in the stream now. */
async function catchUp(stream: NatsStream, journal: SharedJournal, log: Log): Promise<void> {
  const end = await stream.end();
  let tell = performance.now() + PROGRESS_MS;
  while (journal.through < end) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    if (performance.now() < tell) continue;
    tell += PROGRESS_MS;
    log.event("reading", { turns: journal.through, of: end });
  }
}

/** Runs that do not answer are over: then the chat may have other settings. */
async function removeSilent(
  stream: NatsStream,
  journal: SharedJournal,
  turns: Turns,
  log: Log,
): Promise<void> {
  for (const { id: run } of turns.published.runs.all) {
    if (await stream.ask(run, 0)) continue;
    const part: Entry = { kind: "part", at: Date.now(), run };
    await new Promise((resolve) => stream.send(`${run} is silent`, turnText([part]), resolve));
  }
  await catchUp(stream, journal, log);
}

/** Which settings of the servers that take part are others; `undefined` where none is. */
function differing({ published }: Turns, settings: Settings): string | undefined {
  if (published.runs.all.length === 0) return undefined;
  const names = differences(published.settings, settings);
  if (names.length === 0) return undefined;
  const list = names.map((name) =>
    `${flagName(name)} is ${published.settings[name]} there and ${settings[name]} here`
  );
  return `${list.join(", ")}. Start it with the same, or stop the other servers first`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
