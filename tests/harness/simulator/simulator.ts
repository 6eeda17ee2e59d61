/**
 * The simulator of one server: the real engine, batches and snapshots over a journal in memory, and
 * clients that send bytes. There are no sockets, timers do not fire, and only promises that are ready
 * are awaited: the steps decide everything. A naive server executes each step too, and any difference is an error.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { conflict } from "../../../lib/chat/step.ts";
import type { Command } from "../../../lib/protocol/command.ts";
import { Engine } from "../../../lib/engine/engine.ts";
import { JournalError, replay, type Stored } from "../../../lib/journal/journal.ts";
import { Log } from "../../../lib/log.ts";
import * as boxes from "../../../lib/chat/mailboxes.ts";
import { restoreSnapshot, snapshotRows } from "../../../lib/chat/snapshot.ts";
import type { Commits } from "../../../lib/engine/commits.ts";
import { openChat } from "../../../lib/engine/local_commits.ts";
import type { ModelSettings } from "./model.ts";
import { decodeAll, SimulatedJournal } from "./journal.ts";
import { ModelServer } from "./model_batches.ts";
import type { Pending } from "../../../lib/engine/session.ts";
import { assertSame, checkCounts, Connections } from "./connections.ts";
import { SETTINGS, type Step } from "./steps.ts";

/** Deliberate faults. The tests use them to check that the simulator finds faults. */
export interface Faults {
  /** The engine executes this command instead of the sent one. */
  readonly replace?: (command: Command) => Command;
  /** A restart reads this instead of what was stored. */
  readonly read?: (stored: Stored) => Stored;
}

const SILENT = new Log({ write: (bytes) => Promise.resolve(bytes.length) }, {
  format: "off",
  linesMax: 0,
  linesPerSMax: 100,
});

/** After this many rounds of the runtime all promises that are ready have run. */
const TICKS = 24;
/** How long a session has to end that blocks another one (ms). */
const GRACE_MS = 250;

/** Executes the steps. Throws if the server differs from the naive one. */
export async function simulate(steps: readonly Step[], faults: Faults = {}): Promise<void> {
  const first = steps[0]?.kind === "start" ? steps[0].settings : SETTINGS;
  const { setTimeout, clearTimeout, setImmediate } = globalThis;
  const { now } = Date;
  const world = new World(faults);
  Date.now = () => world.now;
  Object.assign(globalThis, {
    // A session that has to end uses all its time. Other times are over when a step says so.
    setTimeout: (call: () => void, ms: number): object => {
      if (ms === GRACE_MS) queueMicrotask(call);
      const timer = {};
      world.timers.set(timer, call);
      return timer;
    },
    clearTimeout: () => {},
    setImmediate: (call: () => void) => world.turnEnds.push(call),
  });
  try {
    world.open(first);
    for (const step of steps) await world.do(step);
    await world.do({ kind: "crash" });
  } finally {
    Date.now = now;
    Object.assign(globalThis, { setTimeout, clearTimeout, setImmediate });
  }
}

class World {
  now = 1_000_000;
  /** All timers that were ever set, with their callbacks. */
  readonly timers = new Map<unknown, () => void>();
  /** The callbacks of the end of this turn of the event loop. */
  turnEnds: (() => void)[] = [];
  readonly #faults: Faults;
  readonly #journal: SimulatedJournal;
  #model!: ModelServer;
  #settings!: ModelSettings;
  #commits!: Commits;
  #engine!: Engine;
  #connections!: Connections;
  /** The sessions whose items have waited for another session, and are entered again. */
  readonly #goOn: number[] = [];

  constructor(faults: Faults) {
    this.#faults = faults;
    this.#journal = new SimulatedJournal(faults.read);
  }

  /** Starts the first process. */
  open(settings: ModelSettings): void {
    this.#settings = settings;
    this.#model = new ModelServer(settings);
    this.#model.chat.now = this.now;
    this.#start();
  }

  async do(event: Step): Promise<void> {
    switch (event.kind) {
      case "start":
        await this.#stop();
        this.#chooseSettings(event.settings);
        this.#start();
        break;
      case "command":
        this.#connections.arrive(event);
        break;
      case "ends":
      case "breaks":
      case "is late":
        this.#connections.change(event);
        break;
      case "time passes":
        this.now += event.ms;
        this.#model.chat.now = this.now;
        break;
      case "forget after":
        this.#model.forgetAbsent(event.ms, this.#connections.addresses);
        this.#engine.forgetAbsent(Date.now(), event.ms);
        break;
      case "commit":
        await this.#endTurn("stores");
        break;
      case "commit fails":
        await this.#endTurn("fails");
        break;
      case "crash":
      case "crash after the commit":
        await this.#crash(event.kind !== "crash");
        break;
      default:
        this.#snapshot(event.kind);
    }
    await ready();
    this.#connections.goOn();
    this.#compare();
  }

  /** The turn of the event loop ends: a batch is stored, or its commit fails. */
  async #endTurn(outcome: "stores" | "fails"): Promise<void> {
    this.#journal.outcome = outcome;
    for (const end of this.turnEnds.splice(0)) end();
    this.#journal.outcome = "stores";
    this.#model.endTurn(outcome);
    await ready();
    for (const session of this.#goOn.splice(0)) this.#model.requeue(session);
    for (const [session, blocker] of this.#model.held) {
      assert(this.#connections.isEnding(blocker), `Session ${session} waits for ${blocker}`);
    }
    this.#connections.goOn();
  }

  #start(): void {
    this.#commits = openChat(this.#settings, this.#journal, SILENT);
    this.#engine = new Engine(this.#commits, SILENT);
    this.#connections = new Connections({
      settings: this.#settings,
      engine: this.#engine,
      model: this.#model,
      fire: (timer) => this.timers.get(timer)?.(),
      replace: this.#faults.replace ?? ((command) => command),
    });
    this.#followHeld();
    this.#model.restart(this.#settings);
    this.#compareCopies();
  }

  /**
   * Items that wait for another session go into a later batch. Which one is for the engine to say:
   * the naive server follows it.
   */
  #followHeld(): void {
    const enter = this.#commits.enter.bind(this.#commits);
    const entered = new WeakSet<Pending>();
    this.#commits.enter = (pending) => {
      if (entered.has(pending)) this.#goOn.push(pending.session.actor.session.count);
      entered.add(pending);
      enter(pending);
    };
  }

  /** A replay of what is stored must give the state, with a snapshot and without. */
  #compareCopies(): void {
    const rows = [...snapshotRows(this.#commits.published)];
    const { history } = this.#journal;
    assertSame(rows, rowsOf({ rows: [], batches: decodeAll(history) }), "a replay from scratch");
    assertSame(rows, [...snapshotRows(restoreSnapshot(rows)!)], "a copy by a snapshot");
    if (this.#faults.read === undefined) {
      assertSame(rows, rowsOf(this.#journal.read()), "a replay from the last snapshot");
    }
  }

  /** The process ends at once, or as soon as its batch is stored. */
  async #crash(isStored: boolean): Promise<void> {
    this.#compareCopies();
    if (isStored) {
      this.#journal.outcome = "crashes";
      for (const end of this.turnEnds.splice(0)) end();
      this.#journal.outcome = "stores";
      this.#model.endTurn("stores");
    }
    // What the old process does from here on is without effect.
    await ready();
    this.turnEnds = [];
    this.#goOn.length = 0;
    this.#journal.crash();
    this.#start();
  }

  /** A stop in good order: each `wait` is answered, and the state is stored as a snapshot. */
  async #stop(): Promise<void> {
    this.#connections.endModelWaits();
    this.#engine.stop();
    this.#model.isStopping = true;
    await this.#endTurn("stores");
    await this.#commits.close();
    this.#model.endTurn("stores");
    while (this.#goOn.length > 0) {
      for (const session of this.#goOn.splice(0)) this.#model.requeue(session);
      this.#model.endTurn("stores");
    }
    this.#model.storeRest();
    this.turnEnds = [];
  }

  /** The next start has these settings, if the chat can go on under them. */
  #chooseSettings(settings: ModelSettings): void {
    const isPossible = conflict(this.#commits.published, settings) === undefined;
    assertEquals(isPossible, this.#model.chat.allows(settings));
    if (isPossible) this.#settings = settings;
    else assertThrows(() => openChat(settings, this.#journal, SILENT), JournalError);
  }

  #snapshot(kind: "snapshot" | "snapshot begins" | "snapshot goes on"): void {
    if (kind === "snapshot goes on") this.#journal.writeRow();
    else this.#journal.beginSnapshot(this.#commits.published);
    if (kind === "snapshot") this.#journal.writeAll();
  }

  /** Both servers must have stored the same users and mail. */
  #compare(): void {
    const { users, mailboxes } = this.#commits.published;
    const found = users.byId.values().map(({ name, id, address }) => {
      const { session, freeSince } = users.presence.get(id)!;
      const mail = Array.from(boxes.read(mailboxes, id), ({ from, text }) => [from, text]);
      return [name, address, session?.count ?? `free since ${freeSince}`, mail];
    });
    const expected = this.#model.stored.people.map(({ name, address, holder, freeSince, mail }) => [
      name,
      address,
      holder === 0 ? `free since ${freeSince}` : holder,
      mail.map(({ from, text }) => [from, text]),
    ]);
    assertSame(found, expected, "the users and their mail");
    checkCounts(mailboxes, this.#model.stored);
  }
}

/** Resolves when all promises that are ready have run. */
async function ready(): Promise<void> {
  for (let tick = 0; tick < TICKS; tick++) await undefined;
}

function rowsOf(stored: Stored): string[] {
  return [...snapshotRows(replay(stored, SETTINGS))];
}
