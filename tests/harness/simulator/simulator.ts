/**
 * The simulator: the real engine, batches, journal and snapshots, and sessions that send bytes, all in
 * one process without sockets, timers that fire or promises that are awaited. Each step is done by a
 * naive server too, and whatever differs is an error.
 */
import { assertEquals, assertThrows } from "@std/assert";
import { conflict } from "../../../lib/chat/step.ts";
import type { Command } from "../../../lib/protocol/command.ts";
import { Engine } from "../../../lib/engine/engine.ts";
import { JournalError, replay, type Stored } from "../../../lib/journal/journal.ts";
import { Log } from "../../../lib/log.ts";
import * as mailbox from "../../../lib/chat/mailboxes.ts";
import { restoreSnapshot, snapshotRows } from "../../../lib/chat/snapshot.ts";
import { type GroupCommit, openChat } from "../../../lib/engine/group_commit.ts";
import type { ModelSettings } from "./model.ts";
import { decodeAll, SimulatedJournal } from "./journal.ts";
import { ModelServer } from "./model_batches.ts";
import { assertSame, Peers } from "./peers.ts";
import { SETTINGS, type Step } from "./steps.ts";

/** What is done wrongly on purpose, to see that it is noticed. */
export interface Faults {
  /** What the engine hears instead of a command. */
  readonly hear?: (command: Command) => Command;
  /** What a restart reads instead of what was stored. */
  readonly read?: (stored: Stored) => Stored;
}

const SILENT = new Log({ write: (bytes) => Promise.resolve(bytes.length) }, {
  format: "off",
  linesMax: 0,
});

/** Does the steps, and throws where the server is not what the naive one is. */
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
  #peers!: Peers;

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
        this.#choose(event.settings);
        this.#open();
        break;
      case "say":
        this.#peers.say(event);
        break;
      case "ends":
      case "breaks":
      case "is late":
        this.#peers.touch(event);
        break;
      case "time passes":
        this.#clock.now += event.ms;
        this.#model.chat.now = this.#clock.now;
        break;
      case "forget after":
        this.#engine.forgetAbsent(Date.now(), event.ms);
        this.#model.forgetAbsent(event.ms, this.#peers.addresses);
        break;
      case "batch ends":
        this.#beginStoring();
        break;
      case "commit":
      case "commit fails":
        this.#afterTurn(event.kind === "commit" ? "well" : "fails");
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

  /** The process is gone, and what it had not stored. */
  #kill(): void {
    this.#peers.kill();
    this.#journal.lose();
  }

  #open(): void {
    this.#commits = openChat(this.#settings, this.#journal, SILENT);
    this.#engine = new Engine(this.#commits, SILENT);
    this.#peers = new Peers({
      settings: this.#settings,
      commits: this.#commits,
      engine: this.#engine,
      model: this.#model,
      hear: this.#faults.hear ?? ((command) => command),
    });
    this.#model.restart(this.#settings);
    this.#compareCopies();
  }

  /** What is stored, in whatever way it is read, must be the state. */
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
    if (stored && this.#journal.isAwaited) {
      this.#journal.end("dies");
      this.#model.commit();
    }
    this.#kill();
    this.#open();
  }

  /** A polite stop: who waits is answered, and the state is stored once more. */
  #stop(): void {
    this.#peers.endModelWaits();
    this.#engine.stop();
    while (this.#journal.isStoring) {
      this.#journal.end("well");
      this.#model.commit();
    }
    this.#commits.close();
    this.#model.commit();
    this.#peers.flush();
    this.#kill();
  }

  /** The next settings, where the chat can go on under them. */
  #choose(settings: ModelSettings): void {
    const goesOn = conflict(this.#commits.published, settings) === undefined;
    assertEquals(goesOn, this.#model.chat.allows(settings));
    if (goesOn) this.#settings = settings;
    else assertThrows(() => openChat(settings, this.#journal, SILENT), JournalError);
  }

  #beginStoring(): void {
    if (!this.#journal.isAwaited || this.#journal.isStoring) return;
    this.#journal.begin();
    this.#model.handOver();
  }

  #afterTurn(mood: "well" | "fails"): void {
    if (!this.#journal.isAwaited) return;
    this.#journal.end(mood);
    if (mood === "well") this.#model.commit();
    else this.#model.fail();
    this.#peers.goOn();
  }

  #snapshot(kind: "snapshot" | "snapshot begins" | "snapshot goes on"): void {
    if (kind === "snapshot goes on") this.#journal.goOn();
    else this.#journal.beginSnapshot(this.#commits.published);
    if (kind === "snapshot") this.#journal.writeAll();
  }

  /** The state, and whether it has changed in this batch. */
  #compare(): void {
    assertEquals(this.#journal.isAwaited, this.#model.isOpen, "Is something to be stored?");
    const { users, mailboxes } = this.#commits.candidate;
    const found = users.byId.values().map(({ name, id, address }) => {
      const { session, freeSince } = users.presence.get(id)!;
      const mail = Array.from(mailbox.read(mailboxes, id), ({ from, text }) => [from, text]);
      return [name, address, session ?? freeSince, mail];
    });
    const expected = this.#model.chat.people.map(({ name, address, holder, freeSince, mail }) => [
      name,
      address,
      holder === 0 ? freeSince : this.#peers.idOf(holder),
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
