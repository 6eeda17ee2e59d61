/**
 * The naive chat of several servers: what the batches of their common order lead to, one after another.
 * It shares nothing with `lib/` but the shape of the entries.
 */
import type { CommandEntry, Entry } from "../../../lib/chat/entry.ts";
import { Model, type ModelSettings } from "./model.ts";
import { ask } from "./model_batches.ts";

/** The ids of a member's sessions begin with its number times this. */
const SESSIONS_PER_MEMBER = 4_294_967_296;

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

interface Member {
  readonly id: string;
  readonly number: number;
  batch: number;
}

/** All that the batches have led to so far. */
export class ModelLog {
  readonly chat: Model;
  #members: Member[] = [];
  #membersEver = 0;
  /** By the ids of the engine: the ports by which the model knows the sessions. */
  readonly #ports = new Map<number, number>();

  constructor(settings: ModelSettings) {
    this.chat = new Model(settings);
  }

  /** The members that take part. */
  get members(): readonly Member[] {
    return this.#members;
  }

  /** Has anybody ever taken part? */
  get isBegun(): boolean {
    return this.#membersEver > 0;
  }

  /** By which port the model knows a session of the engine. */
  portOf(session: number): number | undefined {
    return this.#ports.get(session);
  }

  /** The next batch, and what became of its entries; nothing where it does not count. */
  append(batch: readonly Entry[]): readonly Outcome[] | undefined {
    const [first] = batch;
    if (first?.kind !== "batch" && first?.kind !== "join" && first?.kind !== "leave") {
      throw new Error(`What is this batch: ${JSON.stringify(batch)}`);
    }
    if (first.kind === "batch") {
      const member = this.#members.find(({ id }) => id === first.member);
      if (member === undefined || member.batch + 1 !== first.batch) return undefined;
      member.batch++;
    }
    this.chat.now = Math.max(this.chat.now, first.at);
    return batch.map((entry) => this.#do(entry));
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
      case "leave":
        this.#part(entry.member);
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
  #join({ member: id, settings }: Entry & { kind: "join" }): void {
    const isThere = this.#members.some((member) => member.id === id);
    const { settings: ours } = this.chat;
    const isOther = Object.keys(ours).some((name) =>
      ours[name as keyof ModelSettings] !== settings[name as keyof ModelSettings]
    );
    if (isThere || (this.#members.length > 0 && isOther)) return;
    this.chat.choose(settings);
    this.#members.push({ id, number: ++this.#membersEver, batch: 0 });
  }

  #part(id: string): void {
    const over = this.#members.find((member) => member.id === id);
    this.#members = this.#members.filter((member) => member !== over);
    for (const session of this.#ports.keys()) {
      if (Math.floor(session / SESSIONS_PER_MEMBER) === over?.number) this.#end(session);
    }
  }
}

function movedOf(user: number, mail: readonly { readonly text: string }[]): Moved[] {
  return mail.map(({ text }) => ({ user, text }));
}
