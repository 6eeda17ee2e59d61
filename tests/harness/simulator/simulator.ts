/**
 * The simulator of one server: the real engine, batches and snapshots over a journal in memory, and
 * clients that send bytes. There are no sockets, timers do not fire, and no promise is awaited: the
 * steps decide everything. A naive server executes each step too, and any difference is an error.
 */
import { assertEquals, assertThrows } from "@std/assert";
import { conflict } from "../../../lib/chat/step.ts";
import type { Command } from "../../../lib/protocol/command.ts";
import { Engine } from "../../../lib/engine/engine.ts";
import { JournalError, replay, type Stored } from "../../../lib/journal/journal.ts";
import { Log } from "../../../lib/log.ts";
import * as boxes from "../../../lib/chat/mailboxes.ts";
import { restoreSnapshot, snapshotRows } from "../../../lib/chat/snapshot.ts";
import { type GroupCommit, openChat } from "../../../lib/engine/group_commit.ts";
import type { ModelSettings } from "./model.ts";
import { decodeAll, SimulatedJournal } from "./journal.ts";
import { ModelServer } from "./model_batches.ts";
import { assertSame, Connections } from "./connections.ts";
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
});

/** Executes the steps. Throws if the server differs from the naive one. */
export function simulate(steps: readonly Step[], faults: Faults = {}): void {
  const first = steps[0]?.kind === "start" ? steps[0].settings : SETTINGS;
  const { now } = Date;
  const clock = { now: 1_000_000 };
  Date.now = () => clock.now;
  try {
    using world = new World(first, clock, faults);
    for (const step of steps) world.do(step);
    world.do({ kind: "crash" });
  } finally {
    Date.now = now;
  }
}

class World implements Disposable {
  readonly #clock: { now: number };
  readonly #faults: Faults;
  readonly #journal: SimulatedJournal;
  readonly #model: ModelServer;
  #settings: ModelSettings;
  #commits!: GroupCommit;
  #engine!: Engine;
  #connections!: Connections;

  constructor(settings: ModelSettings, clock: { now: number }, faults: Faults) {
    this.#clock = clock;
    this.#faults = faults;
    this.#settings = settings;
    this.#journal = new SimulatedJournal(faults.read);
    this.#model = new ModelServer(settings);
    this.#model.chat.now = clock.now;
    this.#open();
  }

  do(event: Step): void {
    switch (event.kind) {
      case "start":
        this.#stop();
        this.#chooseSettings(event.settings);
        this.#open();
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
        this.#clock.now += event.ms;
        this.#model.chat.now = this.#clock.now;
        break;
      case "forget after":
        this.#engine.forgetAbsent(Date.now(), event.ms);
        this.#model.forgetAbsent(event.ms, this.#connections.addresses);
        break;
      case "batch ends":
        this.#beginStoring();
        break;
      case "commit":
      case "commit fails":
        this.#endCommit(event.kind === "commit" ? "stores" : "fails");
        break;
      case "crash":
      case "crash after the commit":
        this.#crash(event.kind !== "crash");
        break;
      default:
        this.#snapshot(event.kind);
    }
    this.#compare();
  }

  [Symbol.dispose](): void {
    this.#kill();
  }

  /** The process ends at once. What it had not stored is lost. */
  #kill(): void {
    this.#connections.clearTimers();
    this.#journal.crash();
  }

  #open(): void {
    this.#commits = openChat(this.#settings, this.#journal, SILENT);
    this.#engine = new Engine(this.#commits, SILENT);
    this.#connections = new Connections({
      settings: this.#settings,
      commits: this.#commits,
      engine: this.#engine,
      model: this.#model,
      replace: this.#faults.replace ?? ((command) => command),
    });
    this.#model.restart(this.#settings);
    this.#compareCopies();
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

  #crash(stored: boolean): void {
    this.#compareCopies();
    if (stored && this.#journal.hasWork) {
      this.#journal.end("crashes");
      this.#model.commit();
    }
    this.#kill();
    this.#open();
  }

  /** A stop in good order: each `wait` is answered, and the state is stored as a snapshot. */
  #stop(): void {
    this.#connections.endModelWaits();
    this.#engine.stop();
    while (this.#journal.isStoring) {
      this.#journal.end("stores");
      this.#model.commit();
    }
    this.#commits.close();
    this.#model.commit();
    this.#connections.flush();
    this.#kill();
  }

  /** The next start has these settings, if the chat can go on under them. */
  #chooseSettings(settings: ModelSettings): void {
    const isPossible = conflict(this.#commits.published, settings) === undefined;
    assertEquals(isPossible, this.#model.chat.allows(settings));
    if (isPossible) this.#settings = settings;
    else assertThrows(() => openChat(settings, this.#journal, SILENT), JournalError);
  }

  #beginStoring(): void {
    if (!this.#journal.hasWork || this.#journal.isStoring) return;
    this.#journal.begin();
    this.#model.beginStoring();
  }

  #endCommit(outcome: "stores" | "fails"): void {
    if (!this.#journal.hasWork) return;
    this.#journal.end(outcome);
    if (outcome === "stores") this.#model.commit();
    else this.#model.fail();
    this.#connections.continueAll();
  }

  #snapshot(kind: "snapshot" | "snapshot begins" | "snapshot goes on"): void {
    if (kind === "snapshot goes on") this.#journal.writeRow();
    else this.#journal.beginSnapshot(this.#commits.published);
    if (kind === "snapshot") this.#journal.writeAll();
  }

  /** Both servers must have the same users and mail, and both or none must have work to store. */
  #compare(): void {
    assertEquals(this.#journal.hasWork, this.#model.hasWork, "Has the server work to store?");
    const { users, mailboxes } = this.#commits.candidate;
    const found = users.byId.values().map(({ name, id, address }) => {
      const { session, freeSince } = users.presence.get(id)!;
      const mail = Array.from(boxes.read(mailboxes, id), ({ from, text }) => [from, text]);
      return [name, address, session ?? freeSince, mail];
    });
    const expected = this.#model.chat.people.map(({ name, address, holder, freeSince, mail }) => [
      name,
      address,
      holder === 0 ? freeSince : this.#connections.idOf(holder),
      mail.map(({ from, text }) => [from, text]),
    ]);
    assertSame(found, expected, "the users and their mail");
    const waiting = expected.reduce((sum, [, , , mail]) => sum + (mail as unknown[]).length, 0);
    assertEquals(mailboxes.waiting, waiting, "the sum of all mail");
  }
}

function rowsOf(stored: Stored): string[] {
  return [...snapshotRows(replay(stored, SETTINGS))];
}
