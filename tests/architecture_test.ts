import { assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { itNeeds } from "./support.ts";

/** The rooms of lib/, from the ground up: a file imports only what stands before it. */
const ROOMS = [
  // The pure core.
  "printable.ts",
  "persistent.ts",
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
  "chat.ts",
  "snapshot.ts",
  "turn_text.ts",
  "command_reader.ts",
  "inspector.ts",
  // From here on time passes.
  "frame_stream.ts",
  "options.ts",
  "log.ts",
  "meter.ts",
  "deadline.ts",
  "memory.ts",
  "pace.ts",
  "journal.ts",
  "sqlite_file.ts",
  "journal_sqlite.ts",
  "dump.ts",
  "hex_text.ts",
  "inspect.ts",
  "turns.ts",
  "engine.ts",
  "outbox.ts",
  "connection.ts",
  "tcp.ts",
  "server.ts",
  "wire.ts",
  "web_socket.ts",
  "metrics.ts",
  "web.ts",
  "client.ts",
  "dialer.ts",
  "typed_line.ts",
  "screen.ts",
  "terminal.ts",
];
const CORE = ROOMS.slice(0, ROOMS.indexOf("frame_stream.ts"));
const CORE_PACKAGES = ["@std/bytes"];
const PACKAGES = [...CORE_PACKAGES, "node:readline", "node:process", "node:sqlite", "node:zlib"]
  .concat("node:crypto", "node:v8", "node:vm", "prom-client");
const IMPURE =
  /\b(Deno|Date|Math\.random|performance|crypto|Promise|async|await|setTimeout|console|fetch|globalThis)\b/;

const READ = { permissions: ["read"] } as const;

function read(room: string): string {
  return Deno.readTextFileSync(new URL(`../lib/${room}`, import.meta.url));
}

function importsOf(room: string): string[] {
  const specifiers = read(room).matchAll(
    /^(?:import|export)[^;]*? from "([^"]+)"|import\("([^"]+)"\)/gm,
  );
  return Array.from(specifiers, ([, still, later]) => (still ?? later)!)
    .filter((specifier) => !specifier.startsWith("./web/"));
}

/** The code without its comments, which may speak of what they like. */
function code(room: string): string {
  return read(room).replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

describe("the rooms of lib/", () => {
  itNeeds(READ, "are all in the list of this test", () => {
    const files = Array.from(
      Deno.readDirSync(new URL("../lib/", import.meta.url)),
      (file) => file.name,
    );
    assertEquals(files.filter((name) => name.endsWith(".ts")).sort(), [...ROOMS].sort());
  });

  for (const [floor, room] of ROOMS.entries()) {
    itNeeds(READ, `${room} imports only what stands before it`, () => {
      const allowed = CORE.includes(room) ? CORE_PACKAGES : PACKAGES;
      const wrong = importsOf(room).filter((specifier) =>
        specifier.startsWith("./")
          ? ROOMS.indexOf(specifier.slice(2)) >= floor || !ROOMS.includes(specifier.slice(2))
          : !allowed.includes(specifier)
      );
      assertEquals(wrong, []);
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
