/** Times the pure core alone: `deno task dev:bench:core`. */
import { step } from "../lib/chat/step.ts";
import { type ChatState, emptyChat } from "../lib/chat/state.ts";
import type { Command } from "../lib/protocol/command.ts";
import { encodeFrames, splitFrames } from "../lib/protocol/frame.ts";
import { packReplies, type PartFrames } from "../lib/protocol/reply_packer.ts";
import { parseServerOptions } from "../lib/options.ts";
import { settingsOf } from "../lib/chat/settings.ts";

const NOTHING = new Uint8Array(0);
const SETTINGS = settingsOf(parseServerOptions(["--users-per-address-max", "100000"]));

function after(state: ChatState, count: number, command: Command): ChatState {
  const actor = { session: { member: 0, count }, address: "127.0.0.1", peer: "127.0.0.1:1" };
  return step(state, { kind: "command", at: 0, actor, command }).state;
}

function chatWith(users: number): ChatState {
  let state = emptyChat(SETTINGS);
  for (let i = 0; i < users; i++) state = after(state, i, { name: "register", user: `u${i}` });
  return state;
}

const chunk = encodeFrames(Array.from({ length: 16 }, () => ["send", "Bob", "Hello, Bob!"]).flat());

Deno.bench("splitFrames, 16 commands of 3 frames", () => {
  splitFrames(NOTHING, chunk, 4096);
});

const scratch = new Uint8Array(8_192);

for (const users of [10, 10_000]) {
  const chat = chatWith(users);
  const list = { code: "users", users: chat.users.byId } as const;
  const partFrames: PartFrames = new WeakMap();

  Deno.bench(`the list of ${users} users, sent before`, () => {
    for (const _piece of packReplies([list], scratch, partFrames));
  });

  Deno.bench(`logout and register, 1,000 times, ${users} users`, () => {
    let state = chat;
    for (let i = 0; i < 1000; i++) {
      state = after(state, i % users, { name: "logout" });
      state = after(state, i % users, { name: "register", user: `u${i % users}` });
    }
  });

  Deno.bench(`send, 1,000 times, ${users} users`, () => {
    let state = chat;
    for (let i = 0; i < 1000; i++) {
      state = after(state, i % users, { name: "send", to: `u${(i * 7) % users}`, text: "Hello" });
    }
  });

  Deno.bench(`sendall, 1,000 times, ${users} users`, { group: "sendall" }, () => {
    let state = chat;
    for (let i = 0; i < 1000; i++) {
      state = after(state, i % users, { name: "sendall", text: "Hello" });
    }
  });
}
