/** A process of a simulated server that shares its chat: the real journal, batches and engine. */
import type { Entry } from "../../../lib/chat/entry.ts";
import { type ChatState, emptyChat } from "../../../lib/chat/state.ts";
import { Engine } from "../../../lib/engine/engine.ts";
import { type CommitListener, LateError } from "../../../lib/journal/journal.ts";
import { Log } from "../../../lib/log.ts";
import {
  type Carrier,
  SharedJournal,
  type SharingOptions,
} from "../../../lib/journal/shared_journal.ts";
import { decodeEntries } from "../../../lib/chat/entry_codec.ts";
import { GroupCommit } from "../../../lib/engine/group_commit.ts";
import type { SessionId } from "../../../lib/chat/users.ts";
import type { ModelSettings } from "./model.ts";
import { Client, type ClientServer, type Said } from "./client.ts";
import type { Oracle } from "./oracle.ts";
import type { Stream } from "./stream.ts";

/** What was sent and is not acknowledged for so long may be lost, in milliseconds. */
const SENT_MS = 2_000;
/** Another member has so long to answer, in milliseconds. */
const ASK_MS = 1_000;
const COMMIT_MS = 5_000;
/** While a server stops, its clients have so long, in milliseconds. */
const STOP_MS = 4_000;
const SNAPSHOT_ENTRIES = 6;

const SILENT = new Log({ write: (bytes) => Promise.resolve(bytes.length) }, {
  format: "off",
  linesMax: 0,
});

/** What is done wrongly on purpose, to see that it is noticed. */
export interface ClusterFaults {
  /** What a server reads instead of a message, in a state. */
  readonly read?: (body: string, state: ChatState) => string;
  /** What a server sends instead of a message. */
  readonly send?: (body: string) => string;
  /** What a snapshot holds instead of a state. */
  readonly save?: (state: ChatState) => ChatState;
  /** Does a server take what it sends for what has come back? */
  readonly echoes?: boolean;
}

/** Where a process lives. */
export interface Surroundings {
  readonly stream: Stream;
  readonly oracle: Oracle;
  readonly faults: ClusterFaults;
  readonly lengthMax: number;
  /** The time, in milliseconds. */
  readonly now: number;
  /** An id that was not there before. */
  newId(): string;
  /** Something is to happen in a process. */
  post(process: Process, work: () => void): void;
  failed(error: unknown): void;
}

/** A question to another member that has no answer yet. */
export interface Question {
  readonly member: string;
  readonly session: SessionId;
  readonly answer: (isThere: boolean) => void;
}

/** A timer of a process. */
interface Timer {
  readonly at: number;
  readonly call: () => void;
}

/** A commit, and the commands of it that were not sent. */
interface Commit {
  readonly member: string | undefined;
  readonly left: (Said | undefined)[];
}

/** From its start to its end. */
export class Process implements Carrier, ClientServer {
  readonly number: number;
  readonly journal: SharedJournal;
  readonly commits: GroupCommit;
  readonly engine: Engine;
  readonly strict: boolean;
  readonly clients: Client[] = [];
  readonly replies: ClientServer["replies"];
  readonly failed: (error: unknown) => void;
  failures = 0;
  isAsleep = false;
  isOver = false;
  isCrashed = false;
  /** What is to happen when it wakes. */
  postponed: (() => void)[] = [];
  questions: Question[] = [];
  /** The ends of batches that are due. */
  batchEnds: (() => void)[] = [];
  /** The snapshot that it is about to store. */
  saving: { readonly state: ChatState; readonly through: number } | undefined;
  readonly #world: Surroundings;
  #timers: Timer[] = [];
  #commits: Commit[] = [];
  #joinsAt: number;
  #hasJoined = false;
  #isStopping = false;
  #answering: { readonly member: string; readonly asked: (session: SessionId) => Promise<void> } = {
    member: "",
    asked: () => Promise.resolve(),
  };

  constructor(world: Surroundings, number: number, settings: ModelSettings) {
    this.#world = world;
    this.number = number;
    this.strict = settings.strict;
    this.failed = (error) => world.failed(error);
    this.replies = (said, frames) => world.oracle.replies(said, frames, this.through);
    const { state, through } = world.stream.load() ?? { state: emptyChat(settings), through: 0 };
    this.#joinsAt = world.stream.bodies.length;
    this.journal = new TracedJournal(this, through, {
      settings,
      timeoutMs: COMMIT_MS,
      bodyLengthMax: world.lengthMax,
      newId: () => world.newId(),
      failed: () => this.end(),
      snapshotEntries: () => SNAPSHOT_ENTRIES,
      later: (ms, call) => this.later(ms, call),
    });
    this.commits = new GroupCommit(state, this.journal, SILENT);
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

  /** Does nothing wait here for anything? */
  get isAtRest(): boolean {
    const isIdle = this.#timers.length === 0 && this.batchEnds.length === 0 &&
      this.commits.settled() === undefined;
    return this.isOver ||
      isIdle && this.commits.member !== undefined && this.questions.length === 0 &&
        this.clients.every(({ heard }) => heard.every(({ answer }) => answer !== undefined));
  }

  /** Reads the next message of the stream; joins when all is read that was there at the start. */
  read(): void {
    const { stream, faults } = this.#world;
    const next = this.through + 1;
    const body = stream.bodies[next - 1];
    if (next <= stream.purged) {
      const { state, through } = stream.load()!;
      if (this.journal.member !== undefined) this.#world.oracle.misses(this.journal.member);
      this.journal.reset(state, through);
    } else if (body !== undefined) {
      const read = faults.read?.(body, this.commits.published) ?? body;
      this.journal.receive(next, read, stream.bodies.length - next);
    }
    this.joinWhenRead();
  }

  joinWhenRead(): void {
    if (this.#hasJoined || this.through < this.#joinsAt) return;
    this.#hasJoined = true;
    this.journal.join().catch(() => this.end());
  }

  /** A new connection, if it takes any. */
  connect(address: string, port: number): Client | undefined {
    if (this.commits.isBehind || this.#isStopping) return undefined;
    const client = new Client(this, address, port);
    this.clients.push(client);
    return client;
  }

  /** A polite stop. */
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

  /** Nothing happens here any more. */
  end(): void {
    this.isOver = true;
    this.#timers = [];
  }

  later(ms: number, call: () => void): () => void {
    const timer = { at: this.#world.now + ms, call };
    this.#timers.push(timer);
    return () => this.#timers = this.#timers.filter((other) => other !== timer);
  }

  /** The timer that is due and was due first. */
  takeDue(): (() => void) | undefined {
    const due = this.#timers.filter(({ at }) => at <= this.#world.now);
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
    this.#answering.asked(session).then(() => this.#world.post(from, () => answer(true)));
  }

  /** The entries of a commit go into batches, one after another. */
  sends(entries: readonly Entry[], member: string | undefined): (error: unknown) => void {
    const { oracle } = this.#world;
    const left = entries.map((entry) =>
      entry.kind === "command" ? oracle.saidOf.get(entry.command) : undefined
    );
    const commit = { member, left };
    this.#commits.push(commit);
    return (error) => {
      if (error !== undefined) this.failures++;
      if (error === undefined || error instanceof LateError) return;
      this.#commits = this.#commits.filter((other) => other !== commit);
    };
  }

  send(_id: string, body: string, sent: (error?: unknown) => void): void {
    const { stream, faults } = this.#world;
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
      sent: () => this.#world.post(this, heard),
    };
    stream.packets.push(packet);
    if (faults.echoes === true) {
      this.#world.post(this, () => this.journal.receive(this.through + 1, body, 0));
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
    this.saving ??= { state: this.#world.faults.save?.(state) ?? state, through };
  }

  close(): Promise<void> {
    this.#answering = { member: "", asked: () => Promise.resolve() };
    return Promise.resolve();
  }

  #trace(body: string): void {
    const [first, ...others] = decodeEntries(body);
    if (first?.kind !== "batch" || this.#world.oracle.knows(first)) return;
    this.#commits = this.#commits.filter(({ member }) => member === first.member);
    const [{ left } = { left: [] }] = this.#commits;
    this.#world.oracle.sends(first, this, left.splice(0, others.length));
    if (left.length === 0) this.#commits.shift();
  }
}

/** Tells its process what is to be stored. */
class TracedJournal extends SharedJournal {
  readonly #process: Process;

  constructor(process: Process, through: number, options: SharingOptions) {
    super(process, through, options);
    this.#process = process;
  }

  override commit(entries: readonly Entry[], stored: CommitListener): void {
    const over = this.#process.sends(entries, this.member);
    super.commit(entries, (error) => {
      over(error);
      stored(error);
    });
  }
}
