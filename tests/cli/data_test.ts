/** `--data`, `dump` and `forget` as processes on a file. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { itNeeds, missing } from "../needs.ts";
import { Peer } from "../peer.ts";
import { until } from "../support.ts";
import { MAIN, runDeno, ServerProcess } from "./program.ts";

const NEEDS = { permissions: ["net", "run", "read", "write"] } as const;
const decoder = new TextDecoder();

/** The arguments of Deno for main.ts, by default with the permission to use the file of a folder. */
function argsOf(folder: string, args: string[], mayUse = true): string[] {
  const path = `${folder}/chat.db`;
  const allowed = mayUse ? [`--allow-read=${path}`, `--allow-write=${path}`] : [];
  return ["run", "--no-prompt", "--allow-net", ...allowed, MAIN, ...args];
}

/** Runs main.ts to its end. */
async function run(folder: string, args: string[], mayUse = true) {
  return await runDeno(argsOf(folder, args, mayUse));
}

/** Starts a server process on the file of a folder. */
async function serve(folder: string) {
  const args = argsOf(folder, ["--port", "0", "--data", `${folder}/chat.db`]);
  const { child, port } = await ServerProcess.startDeno(args, { stderr: "piped" });
  let log = "";
  (async () => {
    for await (const chunk of child.stderr) log += decoder.decode(chunk);
  })();
  return {
    port,
    log: () => log,
    end: async (signal: Deno.Signal) => {
      child.kill(signal);
      return (await child.status).code;
    },
  };
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Mounts a disk of 2 MB, in memory, on a folder. Returns false where this user may not do that. */
function mountSmallDisk(folder: string): boolean {
  const args = ["-t", "tmpfs", "-o", "size=2m", "tmpfs", folder];
  return new Deno.Command("mount", { args, stderr: "null" }).outputSync().success;
}

function unmount(folder: string): void {
  new Deno.Command("umount", { args: [folder] }).outputSync();
}

/** Tries to mount a disk, and takes it away again. */
function mayMount(): boolean {
  const folder = Deno.makeTempDirSync();
  const isMounted = mountSmallDisk(folder);
  if (isMounted) unmount(folder);
  Deno.removeSync(folder);
  return isMounted;
}

describe("--data", () => {
  itNeeds(NEEDS, "keeps acknowledged mail over kill -9", () =>
    withFolder(async (folder) => {
      const first = await serve(folder);
      using al = await Peer.connect(first.port);
      await al.ask("register", "Al");
      assertEquals(await al.ask("send", "Al", "kept"), "Message added to storage!");
      await first.end("SIGKILL");
      const second = await serve(folder);
      using again = await Peer.connect(second.port);
      assertEquals(await again.ask("register", "Al"), "Nice to see you, Al");
      assertEquals(await again.mail("receive"), ["Al: kept"]);
      again.close();
      assertEquals(await second.end("SIGTERM"), 0);
    }));

  itNeeds(
    NEEDS,
    "prints the command to type where a permission is missing, and exits with 2",
    () =>
      withFolder(async (folder) => {
        const path = `${folder}/chat.db`;
        for (const args of [["--data", path], ["dump", path], ["forget", path, "Al"]]) {
          const { code, stderr } = await run(folder, args, false);
          assertEquals(code, 2);
          assertStringIncludes(
            stderr,
            `Run: deno run --allow-net --allow-read=${path} --allow-write=${path} main.ts ${
              args.join(" ")
            }\n`,
          );
        }
      }),
  );

  itNeeds(
    { ...NEEDS, programs: ["bash"] },
    "prints a command that works when it is pasted into a shell, whatever the path is",
    () =>
      withFolder(async (folder) => {
        const paths = [
          "a b.db",
          "it's",
          "$HOME",
          '"',
          "\\",
          "a\nb",
          "-x.db",
          "a,b.db",
          ",",
          "d,e/f,g",
        ];
        await Deno.mkdir(`${folder}/d,e`);
        for (const path of paths) {
          const options = { cwd: folder };
          const args = ["run", "--no-prompt", "--allow-net", MAIN, "--port=0", "--data", path];
          const { code, stderr } = await runDeno(args, "", options);
          assertEquals([code, stderr.split("\n").length], [2, 2], stderr);
          const command = stderr.trimEnd().split("Run: ")[1]!
            .replace("deno run", `${Deno.execPath()} run --no-prompt`).replace("main.ts", MAIN);
          const shell = new Deno.Command("bash", {
            args: ["-c", `exec ${command}`],
            ...options,
            stdin: "null",
            stdout: "piped",
            stderr: "null",
          });
          await using server = await ServerProcess.of(shell.spawn());
          assertMatch(server.line, /listens on/, command);
          assert((await Deno.stat(`${folder}/${path}`)).isFile);
        }
      }),
  );

  itNeeds(
    NEEDS,
    "never repeats a token in the command that it prints",
    () =>
      withFolder(async (folder) => {
        const TOKEN = "s3cret-of-the-teacher";
        for (const token of [["--admin-token", TOKEN], [`--admin-token=${TOKEN}`]]) {
          const { stderr } = await run(folder, ["--data", `${folder}/chat.db`, ...token], false);
          assert(!stderr.includes(TOKEN), stderr);
          assertStringIncludes(stderr, "Set ADMIN_TOKEN to the token first. ");
          assertMatch(stderr, /--admin-token[ =]"\$\{ADMIN_TOKEN:\?\}"\n$/);
        }
      }),
  );

  itNeeds(
    NEEDS,
    "has a file whose users forget takes as dump shows them",
    () =>
      withFolder(async (folder) => {
        const path = `${folder}/chat.db`;
        const names = ["a\nb", "-x", "a\\nb", "--json", "B\u200db"];
        const server = await serve(folder);
        const peers = [];
        for (const name of names) {
          const peer = await Peer.connect(server.port);
          assertEquals(await peer.ask("register", name), `Hello, ${name}`);
          peers.push(peer);
        }
        for (const peer of peers) peer.close();
        assertEquals(await server.end("SIGTERM"), 0);
        const rows = (await run(folder, ["dump", path])).stdout.trimEnd().split("\n").slice(2);
        const shown = rows.map((row) => row.split(" ", 1)[0]!);
        assertEquals(shown, ["a\\u000ab", "-x", "a\\\\nb", "--json", "B\\u200db"]);
        for (const name of shown) {
          const { stdout, stderr } = await run(folder, ["forget", path, name]);
          assertEquals([stdout, stderr], [`'${name}' is forgotten\n`, ""]);
        }
        assertMatch((await run(folder, ["dump", path])).stdout, /^0 users/);
      }),
  );

  itNeeds(
    NEEDS,
    "refuses an empty name of a file, and forgets no user in a file that does not exist",
    () =>
      withFolder(async (folder) => {
        const { code, stderr } = await run(folder, ["--port", "0", "--data", ""]);
        assertEquals(code, 2);
        assertEquals(stderr, 'Cannot parse --data: "" is empty\n');
        const absent = await run(folder, ["forget", `${folder}/chat.db`, "Al"]);
        assertEquals(absent.code, 1);
        assertMatch(absent.stderr, /^Cannot read .*chat\.db: there is no such file\n$/);
      }),
  );

  itNeeds(
    NEEDS,
    "refuses a file in use and a file that is no journal, with one line and 1",
    () =>
      withFolder(async (folder) => {
        const path = `${folder}/chat.db`;
        const server = await serve(folder);
        const inUse = await run(folder, ["--port", "0", "--data", path]);
        assertEquals(inUse.code, 1);
        assertMatch(inUse.stderr, /^.*chat\.db is in use by another server: .*\n$/);
        await server.end("SIGTERM");
        await Deno.writeTextFile(path, "These are my notes. ".repeat(100));
        const notes = await run(folder, ["--port", "0", "--data", path]);
        assertEquals(notes.code, 1);
        assertMatch(notes.stderr, /^.*chat\.db is no journal of this server: .*\n$/);
        await Deno.remove(path);
        await Deno.mkdir(path);
        const folders = await run(folder, ["--port", "0", "--data", path]);
        assertEquals(folders.code, 1);
        assertMatch(folders.stderr, /^Cannot open .*chat\.db: Is a directory.*\n$/);
        const shown = await run(folder, ["dump", path]);
        assertEquals(shown.code, 1);
        assertMatch(shown.stderr, /^Cannot open .*chat\.db: Is a directory.*\n$/);
      }),
  );

  itNeeds(
    NEEDS,
    "has a file that dump shows while the server runs, and forget changes when it does not",
    () =>
      withFolder(async (folder) => {
        const path = `${folder}/chat.db`;
        const server = await serve(folder);
        using al = await Peer.connect(server.port);
        await al.ask("register", "Al");
        await al.ask("send", "Al", "a secret");
        const table = await run(folder, ["dump", path]);
        assertMatch(
          table.stdout,
          /^1 user, 1 message, \d+ bytes, rules 1, last entry .*\nuser +address.*\nAl +127\.0\.0\.1 +1 +now\n$/,
        );
        const { users, messages } = JSON.parse(
          (await run(folder, ["dump", path, "--json"])).stdout,
        );
        assertEquals({ users, messages }, {
          users: [{ name: "Al", address: "127.0.0.1", messages: 1 }],
          messages: 1,
        });
        assert(!table.stdout.includes("secret"));
        assertEquals((await run(folder, ["forget", path, "Al"])).code, 1);
        al.close();
        assertEquals(await server.end("SIGTERM"), 0);
        assertEquals((await run(folder, ["forget", path, "Bob"])).code, 1);
        assertEquals((await run(folder, ["forget", path, "Al"])).stdout, "'Al' is forgotten\n");
        assertMatch((await run(folder, ["dump", path])).stdout, /^0 users, 0 messages/);
      }),
  );

  const FULL_DISK =
    "on a full disk acknowledges nothing that is not stored, and recovers by itself";
  const needs = { ...NEEDS, programs: ["mount"] };
  if (missing(needs) === undefined && !mayMount()) {
    it.skip(`${FULL_DISK} (skipped: this user may not mount a small disk)`, () => {});
  } else {
    itNeeds(needs, FULL_DISK, () =>
      withFolder(async (folder) => {
        assert(mountSmallDisk(folder), "the disk is mounted");
        try {
          await fillAndEmpty(folder);
        } finally {
          unmount(folder);
        }
      }));
  }
});

async function fillAndEmpty(folder: string): Promise<void> {
  const server = await serve(folder);
  using al = await Peer.connect(server.port);
  await al.ask("register", "Al");
  await al.ask("send", "Al", "before");
  await Deno.writeFile(`${folder}/ballast`, new Uint8Array(4_000_000)).catch(() => {});
  let stored = 1;
  let reply = await al.ask("send", "Al", "x".repeat(60));
  while (reply === "Message added to storage!") {
    stored++;
    reply = await al.ask("send", "Al", "x".repeat(60));
  }
  assertEquals(reply, "Storage is not available, try again!");
  assertEquals(await al.ask("ping"), "pong");
  await until(() => server.log().includes("journal-failed"), "the log says so");
  await Deno.remove(`${folder}/ballast`);
  assertEquals(await al.ask("send", "Al", "after"), "Message added to storage!");
  await until(() => server.log().includes("journal-recovered"), "the log says so");
  await server.end("SIGKILL");
  const again = await serve(folder);
  using peer = await Peer.connect(again.port);
  await peer.ask("register", "Al");
  assertEquals((await peer.mail("receive")).length, stored + 1);
  peer.close();
  await again.end("SIGTERM");
}
