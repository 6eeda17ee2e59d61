/**
 * The naive chat of several servers: executes the batches of their stream in its order. It imports
 * nothing from `lib/` but the types of the entries.
 */
import type { CommandEntry, Entry } from "../../../lib/chat/entry.ts";
import type { Actor, SessionId } from "../../../lib/chat/users.ts";
import { Model, type ModelSettings, type Sender } from "./model.ts";
import { replyTo } from "./model_batches.ts";

/** A message, and the id of the user in whose mailbox it is or was. */
export interface UserMessage {
  readonly user: number;
  readonly text: string;
}

/** The result of an entry. */
export interface Outcome {
  /** The reply to a command. */
  readonly frames?: readonly string[];
  /** The messages that left a mailbox: by a `receive`, or by a `take`. */
  readonly left?: readonly UserMessage[];
  /** The message that was put back. */
  readonly returned?: UserMessage;
}

interface Member {
  readonly id: string;
  readonly number: number;
  batch: number;
}

/** The naive chat after the batches so far. */
export class ModelLog {
  readonly chat: Model;
  #members: Member[] = [];
  #membersEver = 0;
  /**
   * By member, then by the count of the session: the port, which is the session's id in the model.
   */
  readonly #ports = new Map<number, Map<number, number>>();

  constructor(settings: ModelSettings) {
    this.chat = new Model(settings);
  }

  /** The members that share the chat now. */
  get members(): readonly Member[] {
    return this.#members;
  }

  /** Has a member ever joined? */
  get isBegun(): boolean {
    return this.#membersEver > 0;
  }

  /** The id in the model of a session of the engine. */
  portOf({ member, count }: SessionId): number | undefined {
    return this.#ports.get(member)?.get(count);
  }

  /**
   * Executes a batch. Returns the results of its entries; `undefined` if the batch has no effect.
   * `seen` gets a copy of the chat after each entry.
   */
  append(
    batch: readonly Entry[],
    seen: (chat: Model) => void,
  ): readonly Outcome[] | undefined {
    const [first] = batch;
    if (first?.kind !== "batch" && first?.kind !== "join" && first?.kind !== "leave") {
      throw new Error(`This is not a batch: ${JSON.stringify(batch)}`);
    }
    if (first.kind === "batch") {
      const member = this.#members.find(({ id }) => id === first.member);
      if (member === undefined || member.batch + 1 !== first.batch) return undefined;
      member.batch++;
    }
    this.chat.now = Math.max(this.chat.now, first.at);
    return batch.map((entry) => {
      const outcome = this.#do(entry);
      seen(this.chat.copy());
      return outcome;
    });
  }

  #do(entry: Entry): Outcome {
    switch (entry.kind) {
      case "command":
        return this.#applyCommand(entry);
      case "take": {
        const { actor, shown: { id, through } } = entry;
        if (this.chat.whoIs(senderOf(actor))?.id !== id) return {};
        return { left: messagesOf(id, this.chat.take(id, through)) };
      }
      case "return": {
        const { id: user, mail: { from, text, network } } = entry;
        this.chat.putBack(user, from, text, network);
        return { returned: { user, text } };
      }
      case "end":
        this.chat.leave({ session: this.portOf(entry.session) ?? -1, address: entry.address });
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
        this.#leave(entry.member);
        break;
    }
    return {};
  }

  #applyCommand({ actor, command }: CommandEntry): Outcome {
    const sender = senderOf(actor);
    const { member, count } = actor.session;
    const ports = this.#ports.get(member) ?? new Map();
    this.#ports.set(member, ports.set(count, sender.session));
    const { name, ...values } = command;
    const me = this.chat.whoIs(sender);
    const mail = name === "receive" && me !== undefined ? me.mail : [];
    const frames = replyTo(this.chat, sender, [name, ...Object.values(values).map(String)])!;
    return { frames, left: messagesOf(me?.id ?? 0, mail) };
  }

  /** A process joins other members only with their settings. */
  #join({ member: id, settings }: Entry & { kind: "join" }): void {
    const isMember = this.#members.some((member) => member.id === id);
    const { settings: ours } = this.chat;
    const hasOtherSettings = Object.keys(ours).some((name) =>
      ours[name as keyof ModelSettings] !== settings[name as keyof ModelSettings]
    );
    if (isMember || (this.#members.length > 0 && hasOtherSettings)) return;
    this.chat.choose(settings);
    this.#members.push({ id, number: ++this.#membersEver, batch: 0 });
  }

  #leave(id: string): void {
    const leaving = this.#members.find((member) => member.id === id);
    if (leaving === undefined) return;
    this.#members = this.#members.filter((member) => member !== leaving);
    for (const port of this.#ports.get(leaving.number)?.values() ?? []) this.chat.end(port);
  }
}

/** The session of the model has the number of the port. */
function senderOf({ peer, address }: Actor): Sender {
  return { session: Number(peer.split(":").at(-1)), address };
}

function messagesOf(user: number, mail: readonly { readonly text: string }[]): UserMessage[] {
  return mail.map(({ text }) => ({ user, text }));
}
