import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { step } from "../../lib/chat/step.ts";
import type { Entry } from "../../lib/chat/entry.ts";
import { type ChatState, emptyChat } from "../../lib/chat/state.ts";
import type { Command } from "../../lib/protocol/command.ts";
import { type Reply, replyText } from "../../lib/protocol/reply.ts";
import { replyTexts } from "../../lib/protocol/reply_encoder.ts";
import { Model } from "../harness/simulator/model.ts";
import { pick, wholeBelow, withSeed } from "../random.ts";

const NAMES = ["Al", "Bob", "Cy", "Dan", "👍👍👍", "too long", "", "Al2"];
const TEXTS = ["", "hi", "👍👍👍👍", "a text that is too long"];

function framesOf(reply: Reply): string[] {
  switch (reply.code) {
    case "users":
      return [...replyTexts(reply)];
    case "mail":
      return [
        String(reply.count),
        ...reply.mail().flatMap(({ from, text }) => [from, text]),
      ];
    case "help":
    case "mistake":
      return [reply.code];
    default:
      return [replyText(reply)];
  }
}

function randomCommand(random: () => number): Command {
  return pick<() => Command>(random, [
    () => ({ name: "register", user: pick(random, NAMES) }),
    () => ({ name: "register", user: pick(random, NAMES) }),
    () => ({ name: "users" }),
    () => ({ name: "send", to: pick(random, NAMES), text: pick(random, TEXTS) }),
    () => ({ name: "send", to: pick(random, NAMES), text: pick(random, TEXTS) }),
    () => ({ name: "sendall", text: pick(random, TEXTS) }),
    () => ({ name: "sendall", text: pick(random, TEXTS) }),
    () => ({ name: "receive" }),
    () => ({ name: "logout" }),
  ])();
}

function modelReply(model: Model, session: number, address: string, command: Command): string[] {
  const sender = { session, address };
  switch (command.name) {
    case "register":
      return model.register(sender, command.user);
    case "send":
      return model.send(sender, command.to, command.text);
    case "sendall":
      return model.sendall(sender, command.text);
    case "receive":
      return model.receive(sender);
    case "logout":
      return model.logout(sender);
    default:
      return model.users();
  }
}

/**
 * Sends random commands from five sessions of three addresses to both chats: all replies must be
 * the same.
 */
function compare(random: () => number, strict: boolean, steps: number): void {
  const settings = {
    strict,
    nameSymbolsMax: 4,
    textSymbolsMax: 5,
    usersMax: 1 + wholeBelow(random, 5),
    usersPerAddressMax: wholeBelow(random, 4),
    mailboxMessagesMax: 1 + wholeBelow(random, 4),
    mailboxBroadcastsMax: wholeBelow(random, 5),
    messagesMax: 1 + wholeBelow(random, 12),
    messagesPerAddressMax: wholeBelow(random, 8),
    usersExpireH: 0,
  };
  const model = new Model(settings);
  let state: ChatState = emptyChat(settings);
  const sessions = [1, 2, 3, 4, 5];
  let next = 6;
  const apply = (entry: Entry): Reply | undefined => {
    const { state: after, reply } = step(state, entry);
    state = after;
    return reply;
  };
  for (let i = 0; i < steps; i++) {
    const place = wholeBelow(random, sessions.length);
    const session = sessions[place]!;
    const address = `10.0.0.${session % 3}`;
    if (random() < 0.1) {
      apply({ kind: "end", at: 0, session: { member: 0, count: session }, address });
      model.end(session);
      sessions[place] = next++;
      continue;
    }
    const command = randomCommand(random);
    const actor = {
      session: { member: 0, count: session },
      address,
      peer: `${address}:${session}`,
    };
    const reply = apply({ kind: "command", at: 0, actor, command });
    assertEquals(framesOf(reply!), modelReply(model, session, address, command));
  }
}

describe("step()", () => {
  for (const strict of [false, true]) {
    it(`replies as the naive chat does to random commands, ${strict ? "strict" : "default"} mode`, () => {
      withSeed((random) => {
        for (let round = 0; round < 150; round++) compare(random, strict, 100);
      });
    });
  }
});
