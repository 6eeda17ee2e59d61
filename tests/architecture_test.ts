import { assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { itNeeds } from "./support.ts";

/** The rooms of lib/, from the ground up: a file imports only what stands before it. */
const ROOMS = [
  // The pure core. What the page shares with it comes first.
  "web/printable.js",
  "web/typed.js",
  "nearest.ts",
  "persistent.ts",
  "decode.ts",
  "frame.ts",
  "network.ts",
  "proxy_header.ts",
  "evidence.ts",
  "mistake.ts",
  "settings.ts",
  "reply.ts",
  "command.ts",
  "mailbox.ts",
  "users.ts",
  "runs.ts",
  "state.ts",
  "obey.ts",
  "chat.ts",
  "snapshot.ts",
  "turn_text.ts",
  "command_reader.ts",
  "inspector.ts",
  // From here on time passes.
  "frame_stream.ts",
  "options.ts",
  "listen.ts",
  "log.ts",
  "meter.ts",
  "deadline.ts",
  "memory.ts",
  "pace.ts",
  "journal.ts",
  "sqlite_file.ts",
  "sqlite_reader.ts",
  "journal_sqlite.ts",
  "dump.ts",
  "hex_text.ts",
  "inspect.ts",
  "session.ts",
  "turns.ts",
  "others.ts",
  "waiters.ts",
  "shared_journal.ts",
  "nats_connection.ts",
  "nats_snapshots.ts",
  "nats_stream.ts",
  "journal_nats.ts",
  "engine.ts",
  "outbox.ts",
  "connection.ts",
  "tcp.ts",
  "server.ts",
  "wire.ts",
  "web_socket.ts",
  "metrics.ts",
  "web.ts",
  "service.ts",
  "client.ts",
  "dialer.ts",
  "typed_line.ts",
  "screen.ts",
  "terminal.ts",
  // The page, at the very end: nothing else imports it but as text, to serve it.
  "web/frames.js",
  "web/page.js",
  "web/talk.js",
  "web/chat.js",
  "web/wire.js",
];
const CORE = ROOMS.slice(0, ROOMS.indexOf("frame_stream.ts"));
const CORE_PACKAGES = ["@std/bytes"];
const PACKAGES = [...CORE_PACKAGES, "node:readline", "node:process", "node:sqlite", "node:zlib"]
  .concat("node:crypto", "node:tls", "node:v8", "node:vm", "prom-client")
  .concat(["transport-node", "jetstream", "kv", "obj"].map((name) => `@nats-io/${name}`));
const IMPURE =
  /\b(Deno|Date|Math\.random|performance|crypto|Promise|async|await|setTimeout|console|fetch|globalThis)\b/;

const READ = { permissions: ["read"] } as const;

function read(room: string): string {
  return Deno.readTextFileSync(new URL(`../lib/${room}`, import.meta.url));
}

/** What a room runs, by the room's name or the package's; not what it reads as text. */
function importsOf(room: string): string[] {
  const specifiers = read(room).matchAll(
    /^(?:import|export)[^;]*? from "([^"]+)"(?! with \{ type: "text" \})|import\("([^"]+)"\)/gm,
  );
  return Array.from(specifiers, ([, still, later]) => (still ?? later)!)
    .map((specifier) => specifier.startsWith(".") ? roomOf(specifier, room) : specifier);
}

function roomOf(specifier: string, importer: string): string {
  return new URL(specifier, `file:///${importer}`).pathname.slice(1);
}

/** The code without its comments, which may speak of what they like. */
function code(room: string): string {
  return read(room).replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

describe("the rooms of lib/", () => {
  itNeeds(READ, "are all in the list of this test", () => {
    const files = ["", "web/"].flatMap((folder) =>
      Array.from(
        Deno.readDirSync(new URL(`../lib/${folder}`, import.meta.url)),
        ({ name }) => folder + name,
      )
    );
    assertEquals(files.filter((name) => /\.[tj]s$/.test(name)).sort(), [...ROOMS].sort());
  });

  for (const [floor, room] of ROOMS.entries()) {
    itNeeds(READ, `${room} imports only what stands before it`, () => {
      const allowed = CORE.includes(room) ? CORE_PACKAGES : PACKAGES;
      const open = [...ROOMS.slice(0, floor), ...allowed];
      assertEquals(importsOf(room).filter((name) => !open.includes(name)), []);
    });
  }

  for (const room of ROOMS.filter((name) => name.startsWith("web/"))) {
    itNeeds(READ, `${room} imports only what a browser has too: files beside it`, () => {
      assertEquals(importsOf(room).filter((name) => !name.startsWith("web/")), []);
    });
  }

  for (const room of CORE) {
    itNeeds(READ, `${room} is pure: no Deno, no clock, no chance, no promise`, () => {
      assertEquals(IMPURE.exec(code(room))?.[0], undefined);
    });
  }
});

describe("deno.json and jsr.json", () => {
  itNeeds(READ, "map the same names", () => {
    const names = (file: string) => {
      const text = Deno.readTextFileSync(new URL(`../${file}`, import.meta.url));
      return Object.keys(JSON.parse(text).imports).sort();
    };
    assertEquals(names("jsr.json"), names("deno.json"));
  });
});
