/**
 * A process of a simulated server that shares its chat: the real shared journal, batches and
 * engine.
 */
import type { Entry } from "../../../lib/chat/entry.ts";
import { type ChatState, emptyChat } from "../../../lib/chat/state.ts";
import { Engine } from "../../../lib/engine/engine.ts";
import { LateError } from "../../../lib/journal/batch_sender.ts";
import { Log } from "../../../lib/log.ts";
import {
  type Carrier,
  SharedJournal,
  type SharingOptions,
} from "../../../lib/journal/shared_journal.ts";
import { decodeEntries } from "../../../lib/chat/entry_codec.ts";
import { SharedCommits } from "../../../lib/engine/shared_commits.ts";
import type { SessionId } from "../../../lib/chat/users.ts";
import type { ModelSettings } from "./model.ts";
import { Client, type ClientServer, type Request } from "./client.ts";
import type { Oracle } from "./oracle.ts";
import type { Stream } from "./stream.ts";

/** A message that is not acknowledged after this long counts as failed (ms). */
const SENT_MS = 2_000;
/** Another member must answer a question within this time (ms). */
const ASK_MS = 1_000;
/** A commit is given up after this long (ms). */
const COMMIT_MS = 5_000;
/** A stopping server closes the connections that are left after this long (ms). */
const STOP_MS = 4_000;
/** A snapshot is due after this many entries. */
const SNAPSHOT_ENTRIES = 6;

const SILENT = new Log({ write: (bytes) => Promise.resolve(bytes.length) }, {
  format: "off",
  linesMax: 0,
  linesPerSMax: 100,
});

/** Deliberate faults. The tests use them to check that the simulator finds faults. */
export interface ClusterFaults {
  /** A server in this state reads this instead of a message. */
  readonly read?: (body: string, state: ChatState) => string;
  /** A server sends this instead of a message. */
  readonly send?: (body: string) => string;
  /** A snapshot contains this instead of the state. */
  readonly save?: (state: ChatState) => ChatState;
  /** Does a server read its message as soon as it has sent it? */
  readonly takesSentForStored?: boolean;
}

/** The simulated world of the processes. */
export interface Environment {
  readonly stream: Stream;
  readonly oracle: Oracle;
  readonly faults: ClusterFaults;
  readonly lengthMax: number;
  /** The time, in milliseconds. */
  readonly now: number;
  /** A new id for a member. */
  newMemberId(): string;
  /** Lets a process do something after the current step's work. */
  post(process: Process, work: () => void): void;
  failed(error: unknown): void;
}

/** A question to another member that is not answered yet. */
export interface Question {
  readonly member: string;
  readonly session: SessionId;
  readonly answer: (isThere: boolean) => void;
}

interface Timer {
  readonly at: number;
  readonly call: () => void;
}

/** A commit that was not sent completely. */
interface Commit {
  readonly member: string | undefined;
  /**
   * The requests of its entries that were not sent yet; `undefined` for an entry that is no
   * command.
   */
  readonly left: (Request | undefined)[];
}

/** One process of a server. */
export class Process implements Carrier, ClientServer {
  readonly number: number;
  readonly journal: SharedJournal;
  readonly commits: SharedCommits;
  readonly engine: Engine;
  readonly strict: boolean;
  readonly clients: Client[] = [];
  readonly replied: ClientServer["replied"];
  readonly failed: (error: unknown) => void;
  failures = 0;
  isAsleep = false;
  isOver = false;
  isCrashed = false;
  /** What it does when it wakes. */
  postponed: (() => void)[] = [];
  questions: Question[] = [];
  /** Ends the open batches. */
  batchEnds: (() => void)[] = [];
  /** The snapshot that it has begun and not stored yet. */
  saving: { readonly state: ChatState; readonly through: number } | undefined;
  readonly #environment: Environment;
  #timers: Timer[] = [];
  #commits: Commit[] = [];
  #joinsAt: number;
  #hasJoined = false;
  #isStopping = false;
  #answering: { readonly member: string; readonly asked: (session: SessionId) => Promise<void> } = {
    member: "",
    asked: () => Promise.resolve(),
  };

  constructor(environment: Environment, number: number, settings: ModelSettings) {
    this.#environment = environment;
    this.number = number;
    this.strict = settings.strict;
    this.failed = (error) => environment.failed(error);
    this.replied = (request, frames) =>
      environment.oracle.checkReply(request, frames, this.through);
    const { state, through } = environment.stream.load() ??
      { state: emptyChat(settings), through: 0 };
    this.#joinsAt = environment.stream.bodies.length;
    this.journal = new TracedJournal(this, through, {
      settings,
      timeoutMs: COMMIT_MS,
      bodyLengthMax: environment.lengthMax,
      newId: () => environment.newMemberId(),
      failed: () => this.end(),
      snapshotEntries: () => SNAPSHOT_ENTRIES,
      later: (ms, call) => this.later(ms, call),
    });
    this.commits = new SharedCommits(state, this.journal, SILENT);
    this.engine = new Engine(this.commits, SILENT);
    this.engine.onEnded = () => {
      for (const client of this.clients) client.break();
    };
  }

  get through(): number {
    return this.journal.through;
  }

  /** The sessions of its open connections. */
  get sessions(): SessionId[] {
    const open = this.clients.filter(({ isOver }) => !isOver);
    return open.map(({ session }) => session.actor.session);
  }

  /** Is there no timer, open batch, question or unanswered command? */
  get isAtRest(): boolean {
    const isIdle = this.#timers.length === 0 && this.batchEnds.length === 0;
    return this.isOver ||
      isIdle && this.commits.member !== undefined && this.questions.length === 0 &&
        this.clients.every(({ heard, isOver }) =>
          isOver || heard.every(({ reply }) => reply !== undefined)
        );
  }

  /** Reads the next message of the stream, then joins if it is time to. */
  read(): void {
    const { stream, faults } = this.#environment;
    const next = this.through + 1;
    const body = stream.bodies[next - 1];
    if (next <= stream.purged) {
      const { state, through } = stream.load()!;
      if (this.journal.member !== undefined) {
        this.#environment.oracle.noteMissed(this.journal.member);
      }
      this.journal.reset(state, through);
    } else if (body !== undefined) {
      const read = faults.read?.(body, this.commits.published) ?? body;
      this.journal.receive(next, read, stream.bodies.length - next);
    }
    this.joinWhenRead();
  }

  /** Joins when all messages were read that were in the stream at the start. */
  joinWhenRead(): void {
    if (this.#hasJoined || this.through < this.#joinsAt) return;
    this.#hasJoined = true;
    this.journal.join().catch(() => this.end());
  }

  /** Opens a connection. Returns `undefined` if the server accepts none now. */
  connect(address: string, port: number): Client | undefined {
    if (this.commits.isBehind || this.#isStopping) return undefined;
    const client = new Client(this, address, port);
    this.clients.push(client);
    return client;
  }

  /** Stops in good order: the clients are answered, and the member leaves. */
  stop(): void {
    if (!this.#hasJoined || this.#isStopping) return;
    this.#isStopping = true;
    this.engine.stop();
    for (const client of this.clients) client.stop();
    this.later(STOP_MS, () => {
      for (const client of this.clients) client.break();
    });
    Promise.all(this.clients.map(({ over }) => over))
      .then(() => this.commits.close())
      .then(() => this.end(), this.failed);
  }

  /** The process ends: nothing happens in it any more. */
  end(): void {
    this.isOver = true;
    this.#timers = [];
  }

  /** Calls back after `ms` milliseconds. Returns a function that prevents it. */
  later(ms: number, call: () => void): () => void {
    const timer = { at: this.#environment.now + ms, call };
    this.#timers.push(timer);
    return () => this.#timers = this.#timers.filter((other) => other !== timer);
  }

  /** Removes and returns the timer that is due first, if one is due. */
  takeDue(): (() => void) | undefined {
    const due = this.#timers.filter(({ at }) => at <= this.#environment.now);
    const first = due.reduce<Timer | undefined>(
      (first, timer) => first === undefined || timer.at < first.at ? timer : first,
      undefined,
    );
    this.#timers = this.#timers.filter((timer) => timer !== first);
    return first?.call;
  }

  /** Another process asks about a session of this one. */
  hear({ member, session, answer }: Question, from: Process): void {
    if (this.#answering.member !== member) return;
    this.#answering.asked(session).then(() => this.#environment.post(from, () => answer(true)));
  }

  /** Notes a commit. Returns a function to call where it is given up. */
  noteCommit(entries: readonly Entry[], member: string | undefined): (error: Error) => void {
    const { oracle } = this.#environment;
    const left = entries.map((entry) =>
      entry.kind === "command" ? oracle.requestOf.get(entry.command) : undefined
    );
    const commit = { member, left };
    this.#commits.push(commit);
    return (error) => {
      this.failures++;
      if (error instanceof LateError) return;
      this.#commits = this.#commits.filter((other) => other !== commit);
    };
  }

  send(_id: string, body: string, sent: (error?: unknown) => void): void {
    const { stream, faults } = this.#environment;
    this.#trace(body);
    let isTold = false;
    const tell = (error?: unknown) => {
      if (!isTold) sent(error);
      isTold = true;
    };
    const cancel = this.later(SENT_MS, () => tell(new Error("No acknowledgement has come")));
    const heard = () => {
      cancel();
      tell();
    };
    const packet = {
      server: this.number,
      body: faults.send?.(body) ?? body,
      sent: () => this.#environment.post(this, heard),
    };
    stream.packets.push(packet);
    if (faults.takesSentForStored === true) {
      this.#environment.post(this, () => this.journal.receive(this.through + 1, body, 0));
    }
  }

  ask(member: string, session: SessionId): Promise<boolean> {
    return new Promise((resolve) => {
      const answer = (isThere: boolean) => {
        this.questions = this.questions.filter((other) => other !== question);
        resolve(isThere);
      };
      const question = { member, session, answer };
      this.questions.push(question);
      this.later(ASK_MS, () => answer(false));
    });
  }

  answer(member: string, asked: (session: SessionId) => Promise<void>): void {
    this.#answering = { member, asked };
  }

  save(state: ChatState, through: number): void {
    this.saving ??= { state: this.#environment.faults.save?.(state) ?? state, through };
  }

  close(): Promise<void> {
    this.#answering = { member: "", asked: () => Promise.resolve() };
    return Promise.resolve();
  }

  #trace(body: string): void {
    const [first, ...rest] = decodeEntries(body);
    if (first?.kind !== "batch" || this.#environment.oracle.hasSent(first)) return;
    this.#commits = this.#commits.filter(({ member }) => member === first.member);
    const [{ left } = { left: [] }] = this.#commits;
    this.#environment.oracle.noteSent(first, this, left.splice(0, rest.length));
    if (left.length === 0) this.#commits.shift();
  }
}

/** A journal that tells its process of each commit. */
class TracedJournal extends SharedJournal {
  readonly #process: Process;

  constructor(process: Process, through: number, options: SharingOptions) {
    super(process, through, options);
    this.#process = process;
  }

  override commit(entries: readonly Entry[], failed: (error: Error) => void): void {
    const givenUp = this.#process.noteCommit(entries, this.member);
    super.commit(entries, (error) => {
      givenUp(error);
      failed(error);
    });
  }
}
