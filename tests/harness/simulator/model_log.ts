/**
 * The naive chat of several servers: what the turns of their common order lead to, one after another.
 * It shares nothing with `lib/` but the shape of the entries.
 */
import type { CommandEntry, Entry } from "../../../lib/chat/entry.ts";
import { Model, type ModelSettings } from "./model.ts";
import { ask } from "./model_batches.ts";

/** The ids of a run's sessions begin with its number times this. */
const SESSIONS_OF_RUN = 4_294_967_296;

/** A message of a user's mailbox. */
export interface Moved {
  readonly user: number;
  readonly text: string;
}

/** What became of an entry. */
export interface Outcome {
  /** The reply to a command. */
  readonly frames?: readonly string[];
  /** What left a mailbox, with the reply or shown before. */
  readonly left?: readonly Moved[];
  /** What has come back to one. */
  readonly returned?: Moved;
}

interface Run {
  readonly id: string;
  readonly number: number;
  batch: number;
}

/** All that the turns have led to so far. */
export class ModelLog {
  readonly chat: Model;
  #runs: Run[] = [];
  #runsEver = 0;
  /** By the ids of the engine: the ports by which the model knows the sessions. */
  readonly #ports = new Map<number, number>();

  constructor(settings: ModelSettings) {
    this.chat = new Model(settings);
  }

  /** The runs that take part. */
  get runs(): readonly Run[] {
    return this.#runs;
  }

  /** Has anybody ever taken part? */
  get isBegun(): boolean {
    return this.#runsEver > 0;
  }

  /** By which port the model knows a session of the engine. */
  portOf(session: number): number | undefined {
    return this.#ports.get(session);
  }

  /** The next turn, and what became of its entries; nothing where it does not count. */
  append(turn: readonly Entry[]): readonly Outcome[] | undefined {
    const [first] = turn;
    if (first?.kind !== "batch" && first?.kind !== "join" && first?.kind !== "part") {
      throw new Error(`What is this turn: ${JSON.stringify(turn)}`);
    }
    if (first.kind === "batch") {
      const run = this.#runs.find(({ id }) => id === first.run);
      if (run === undefined || run.batch + 1 !== first.batch) return undefined;
      run.batch++;
    }
    this.chat.now = Math.max(this.chat.now, first.at);
    return turn.map((entry) => this.#do(entry));
  }

  #do(entry: Entry): Outcome {
    switch (entry.kind) {
      case "command":
        return this.#applyCommand(entry);
      case "take": {
        const { id, through } = entry.shown;
        return { left: movedOf(id, this.chat.take(id, through)) };
      }
      case "return": {
        const { id: user, mail: { from, text } } = entry;
        this.chat.giveBack(user, from, text);
        return { returned: { user, text } };
      }
      case "end":
        this.#end(entry.session);
        break;
      case "seen":
        this.chat.seen(entry.address);
        break;
      case "forget":
        this.chat.forget(entry.id, entry.freeSince);
        break;
      case "join":
        this.#join(entry);
        break;
      case "part":
        this.#part(entry.run);
        break;
    }
    return {};
  }

  #applyCommand({ actor, command }: CommandEntry): Outcome {
    const port = Number(actor.peer.split(":")[1]);
    this.#ports.set(actor.session, port);
    const { name, ...values } = command;
    const asker = { session: port, address: actor.address };
    const me = this.chat.whoIs(asker);
    const mail = name === "receive" && me !== undefined ? me.mail : [];
    const frames = ask(this.chat, asker, [name, ...Object.values(values).map(String)])!;
    return { frames, left: movedOf(me?.id ?? 0, mail) };
  }

  #end(session: number): void {
    const port = this.#ports.get(session);
    if (port !== undefined) this.chat.end(port);
  }

  /** Whoever comes to others has their settings. */
  #join({ run: id, settings }: Entry & { kind: "join" }): void {
    const isThere = this.#runs.some((run) => run.id === id);
    const { settings: ours } = this.chat;
    const isOther = Object.keys(ours).some((name) =>
      ours[name as keyof ModelSettings] !== settings[name as keyof ModelSettings]
    );
    if (isThere || (this.#runs.length > 0 && isOther)) return;
    this.chat.choose(settings);
    this.#runs.push({ id, number: ++this.#runsEver, batch: 0 });
  }

  #part(id: string): void {
    const over = this.#runs.find((run) => run.id === id);
    this.#runs = this.#runs.filter((run) => run !== over);
    for (const session of this.#ports.keys()) {
      if (Math.floor(session / SESSIONS_OF_RUN) === over?.number) this.#end(session);
    }
  }
}

function movedOf(user: number, mail: readonly { readonly text: string }[]): Moved[] {
  return mail.map(({ text }) => ({ user, text }));
}
