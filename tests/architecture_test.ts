import { assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { itNeeds } from "./needs.ts";

interface Wing {
  /** The folder in `lib/`; "" is the files that lie in `lib/` itself. */
  readonly name: string;
  /** The packages that its files may import. */
  readonly packages: readonly string[];
  /** Pure: no clock, no chance, no I/O, no promise. */
  readonly isPure?: boolean;
  /** The wings that it may import, where those above it in the table are not all. */
  readonly wings?: readonly string[];
}

const NATS = ["transport-node", "jetstream", "kv", "obj"].map((name) => `@nats-io/${name}`);

const SLEEP = "node:timers/promises";

const NODE_HTTP = ["buffer", "crypto", "http", "net", "process", "stream", "stream/promises"].map(
  (name) => `node:${name}`,
);

/** A wing imports the wings above it in this table, and nothing else. */
const WINGS: readonly Wing[] = [
  { name: "text", packages: [], isPure: true },
  { name: "protocol", packages: ["@std/bytes", "ip-address"], isPure: true },
  { name: "chat", packages: [], isPure: true },
  { name: "", packages: ["node:util"] },
  { name: "journal", packages: [SLEEP, "node:sqlite", "node:tls", "node:zlib", ...NATS] },
  { name: "engine", packages: [SLEEP] },
  { name: "server", packages: [SLEEP, "@std/bytes", "node:buffer", "node:v8", "node:vm"] },
  { name: "http", packages: [SLEEP, "@std/bytes", ...NODE_HTTP, "prom-client", "ws"] },
  { name: "client", packages: [], wings: ["text", "protocol", ""] },
  { name: "cli", packages: [SLEEP, "@std/bytes", "node:process", "node:readline", "node:stream"] },
];

/** The one file of a pure wing that awaits. */
const AWAITS = "protocol/frame_stream.ts";
/** What the browser loads: it imports what a browser can run. */
const PAGE = "http/page/";
const PAGE_IMPORTS = ["text/", PAGE];

const IMPURE =
  /\b(Deno|Buffer|Date|Math\.random|performance|crypto|process|Promise|async|await|set(Timeout|Interval|Immediate)|queueMicrotask|console|fetch|globalThis)\b/;

const READ = { permissions: ["read"] } as const;
const LIB = new URL("../lib/", import.meta.url);

function read(file: string): string {
  return Deno.readTextFileSync(new URL(file, LIB));
}

/** All code of `lib/`, by its path there. */
function filesOf(folder = ""): string[] {
  return Array.from(Deno.readDirSync(new URL(folder, LIB))).flatMap(({ name, isDirectory }) =>
    isDirectory ? filesOf(`${folder}${name}/`) : /\.[jt]s$/.test(name) ? [folder + name] : []
  ).sort();
}

function wingOf(file: string): string {
  return file.includes("/") ? file.slice(0, file.indexOf("/")) : "";
}

/** What a file runs: paths in `lib/`, or names of packages. What it reads as a text does not count. */
function importsOf(file: string): string[] {
  const specifiers = read(file).matchAll(
    /^(?:import|export)[^;]*? from "([^"]+)"(?! with \{ type: "json" \})|import\("([^"]+)"\)/gm,
  );
  return Array.from(specifiers, ([, still, later]) => (still ?? later)!)
    .map((name) =>
      name.startsWith(".") ? new URL(name, `file:///${file}`).pathname.slice(1) : name
    );
}

/** The code without its comments, which may speak of what they like. */
function code(file: string): string {
  return read(file).replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

/** The files that can be reached from a file by its imports. */
function reachableFrom(file: string, found = new Set<string>()): Set<string> {
  for (const next of importsOf(file)) {
    if (!/\.[jt]s$/.test(next) || found.has(next)) continue;
    found.add(next);
    reachableFrom(next, found);
  }
  return found;
}

describe("the wings of lib/", () => {
  itNeeds(READ, "are the folders of lib/", () => {
    assertEquals([...new Set(filesOf().map(wingOf))].sort(), WINGS.map(({ name }) => name).sort());
  });

  for (const [floor, { name, packages, wings }] of WINGS.entries()) {
    itNeeds(READ, `${name || "lib/*.ts"} imports only what stands above it`, () => {
      const open = [name, ...wings ?? WINGS.slice(0, floor).map((above) => above.name)];
      const wrong = filesOf().filter((file) => wingOf(file) === name).flatMap((file) =>
        importsOf(file).filter((found) =>
          /\.[jt]s$/.test(found) ? !open.includes(wingOf(found)) : !packages.includes(found)
        ).map((found) => `${file} imports ${found}`)
      );
      assertEquals(wrong, []);
    });
  }

  for (const { name } of WINGS.filter(({ isPure }) => isPure)) {
    itNeeds(READ, `${name} is pure: no Deno, no clock, no chance, no promise`, () => {
      const files = filesOf().filter((file) => wingOf(file) === name && file !== AWAITS);
      const impure = files.flatMap((file) =>
        (IMPURE.exec(code(file)) ?? []).slice(0, 1).map((word) => `${file} says ${word}`)
      );
      assertEquals(impure, []);
    });
  }

  itNeeds(READ, "have no file that imports itself by way of others", () => {
    assertEquals(filesOf().filter((file) => reachableFrom(file).has(file)), []);
  });

  itNeeds(READ, "have a client that a browser can run too", () => {
    const wings = [...reachableFrom("client/client.ts")].filter((found) => /\.[jt]s$/.test(found));
    assertEquals(wings.filter((file) => !["text", "protocol"].includes(wingOf(file))), []);
  });

  itNeeds(READ, "have a page that imports only what a browser has too", () => {
    const wrong = filesOf().filter((file) => file.startsWith(PAGE)).flatMap((file) =>
      [...reachableFrom(file)].filter((found) =>
        !PAGE_IMPORTS.some((path) => found.startsWith(path))
      )
    );
    assertEquals(wrong, []);
  });
});

type Names = Readonly<Record<string, string>>;

function json(path: string) {
  return JSON.parse(Deno.readTextFileSync(new URL(`../${path}`, import.meta.url)));
}

/** The entries of one map whose names are in the other map too. */
function shared(map: Names, other: Names): Names {
  return Object.fromEntries(Object.entries(map).filter(([name]) => name in other));
}

describe("import maps", () => {
  itNeeds(READ, "have the same names for npm and for JSR", () => {
    const names = (path: string) => Object.keys(json(path).imports).sort();
    assertEquals(names("import_map.jsr.json"), names("deno.json"));
  });

  itNeeds(READ, "have the same packages in tests/browser/ and at the root", () => {
    const [root, browser] = [json("deno.json").imports, json("tests/browser/deno.json").imports];
    assertEquals(shared(browser, root), shared(root, browser));
  });
});

describe("tests/browser/", () => {
  itNeeds(READ, "has the versions of packages that the root has", () => {
    const [root, browser] = [
      json("deno.lock").specifiers,
      json("tests/browser/deno.lock").specifiers,
    ];
    assertEquals(shared(browser, root), shared(root, browser));
  });

  itNeeds(READ, "is checked as strictly as the root", () => {
    const rules = ({ compilerOptions, fmt, lint }: Record<string, unknown>) => (
      { compilerOptions, fmt, lint }
    );
    assertEquals(rules(json("tests/browser/deno.json")), rules(json("deno.json")));
  });
});
