/** The program as a process: its first line, exit codes, signals, and a log that is not read. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe } from "@std/testing/bdd";
import net from "node:net";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { itNeeds } from "../needs.ts";
import { Peer } from "../peer.ts";
import { until } from "../support.ts";
import { MAIN, readUntil, ROOT, RUN, run, runDeno, ServerProcess } from "./program.ts";

const NEEDS = { permissions: ["net", "run", "read"] } as const;
/** Connects and resets the connection, often before the server has accepted it. */
async function connectAndReset(port: number): Promise<void> {
  const socket = net.connect({ host: "127.0.0.1", port });
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  await new Promise((resolve) => {
    socket.once("close", resolve);
    socket.resetAndDestroy();
  });
}

describe("main.ts", () => {
  itNeeds(NEEDS, "prints one line when it listens", async () => {
    await using server = await ServerProcess.start("--hostname", "127.0.0.1");
    assertMatch(server.line, /^asvt-chat listens on 127\.0\.0\.1:\d+$/);
    using peer = await Peer.connect(server.port);
    assertEquals(await peer.ask("ping"), "pong");
  });

  itNeeds(NEEDS, "prints that line as JSON with --log json, and also with --log off", async () => {
    await using json = await ServerProcess.start("--log", "json");
    assertEquals(JSON.parse(json.line), {
      event: "listening",
      hostname: "0.0.0.0",
      port: json.port,
    });
    await using off = await ServerProcess.start("--log", "off");
    assertMatch(off.line, /^asvt-chat listens on 0\.0\.0\.0:\d+$/);
  });

  itNeeds(
    NEEDS,
    "with --http serves its page before it says so, and ends it with SIGTERM",
    async () => {
      await using server = await ServerProcess.start("--http", "0");
      const [, url] =
        /^asvt-chat listens on 0\.0\.0\.0:\d+, its page is (http:\S+)$/.exec(server.line) ??
          [];
      const page = await fetch(url!);
      assertStringIncludes(await page.text(), "<title>asvt-chat</title>");
      const watched = await fetch(`${url}wire?connection=next`);
      server.child.kill("SIGTERM");
      assertEquals((await server.child.status).code, 0);
      assertEquals(await watched.text(), "");
      const { port } = new URL(url!);
      const inUse = Deno.listen({ hostname: "127.0.0.1", port: Number(port) });
      const { code, stderr } = await run("--port", "0", "--http", port);
      inUse.close();
      assertEquals([code, stderr], [
        1,
        `Cannot listen on 127.0.0.1:${port}: the port is in use. ` +
        "Stop what uses it, or choose another with --http\n",
      ]);
    },
  );

  itNeeds(
    { permissions: [...NEEDS.permissions, "write"] },
    "serves its page without a permission to read where it is started through a link",
    async () => {
      const folder = await Deno.makeTempDir();
      try {
        await Deno.symlink(ROOT, `${folder}/current`);
        const main = `${folder}/current/main.ts`;
        const args = ["run", "--no-prompt", "--allow-net", main, "--port", "0", "--http", "0"];
        await using server = await ServerProcess.startDeno(args, { cwd: folder });
        const [, url] = /its page is (http:\S+)$/.exec(server.line) ?? [];
        const page = await fetch(url!);
        assertStringIncludes(await page.text(), "<title>asvt-chat</title>");
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  );

  itNeeds(NEEDS, "serves with the subcommand serve too", async () => {
    await using server = await ServerProcess.startDeno([...RUN, "serve", "--port", "0"]);
    assertMatch(server.line, /listens on/);
  });

  itNeeds(NEEDS, "says in one line what is wrong with a flag, and exits with 2", async () => {
    for (
      const args of [["--prot"], ["--port", "x"], ["serve", "x"], ["srve"], ["ping"], [
        "client",
        "a",
        "b",
      ]]
    ) {
      const { code, stdout, stderr } = await run(...args);
      assertEquals({ code, stdout, lines: stderr.split("\n").length }, {
        code: 2,
        stdout: "",
        lines: 2,
      });
    }
  });

  itNeeds(
    { ...NEEDS, programs: ["sh"] },
    "ends quietly where the reader of its output has gone, and in one line where a disk is full",
    async () => {
      for (const args of ["--help", "dump --help", "--version", "inspect /dev/null --help"]) {
        const command = `${Deno.execPath()} ${RUN.join(" ")} ${args}`;
        const sh = async (script: string) => {
          const { code, stderr } = await new Deno.Command("sh", { args: ["-c", script] }).output();
          return { code, stderr: new TextDecoder().decode(stderr) };
        };
        assertEquals(await sh(`${command} | true`), { code: 0, stderr: "" });
        const full = await sh(`exec ${command} > /dev/full`);
        assertEquals(full.code, 1);
        assertMatch(full.stderr, /^Cannot write to stdout: [^\n]*\n$/);
      }
    },
  );

  for (const args of [["--port", "0"], ["--", "--port", "0"]]) {
    itNeeds(NEEDS, `serves for deno task start ${args.join(" ")}`, async () => {
      await using server = await ServerProcess.startDeno(["task", "start", ...args]);
      assertMatch(server.line, /listens on 0\.0\.0\.0:/);
      using peer = await Peer.connect(server.port);
      await peer.ask("ping");
      // The task is the parent of the server: a signal to it reaches both.
      server.child.kill("SIGTERM");
      await server.child.status;
    });
  }

  itNeeds(NEEDS, "says in one line that the port is in use, and exits with 1", async () => {
    await using server = await ServerProcess.start();
    const { code, stderr } = await run("--port", `${server.port}`);
    assertEquals(code, 1);
    assertMatch(stderr, /^Cannot listen on 0\.0\.0\.0:\d+: the port is in use\..*\n$/);
  });

  itNeeds(NEEDS, "prints help and version", async () => {
    const help = await run("--help");
    assertEquals(help.code, 0);
    assertStringIncludes(help.stdout, "--mailbox-messages-max N");
    assertEquals((await run("-h")).stdout, help.stdout);
    assert(!(await run("client", "--help")).stdout.includes("--port"));
    assertMatch((await run("--version")).stdout, /^\d+\.\d+\.\d+\n$/);
  });

  for (
    const [subcommand, first] of [
      [
        "dump",
        "Show users and counts of a file of --data, never texts: main.ts dump FILE [flags].",
      ],
      ["forget", "Remove a user and the mail from a file of --data that no server uses: main.ts"],
    ] as const
  ) {
    itNeeds(NEEDS, `prints the help of ${subcommand} alone for ${subcommand} --help`, async () => {
      const { code, stdout, stderr } = await run(subcommand, "--help");
      assertEquals({ code, stderr }, { code: 0, stderr: "" });
      assertEquals(stdout.slice(0, first.length), first);
      assertMatch(stdout, /^--help /m);
      assertEquals(stdout.includes("--json"), subcommand === "dump");
      assert(!stdout.includes("--port"));
    });
  }

  for (const args of [["--port", "0"], ["--port", "0", "--http", "0"], ["client", "Al"]]) {
    itNeeds(
      { permissions: [...NEEDS.permissions, "write"] },
      `says only that a package is missing, in one line, when its download failed: ${
        args.join(" ")
      }`,
      async () => {
        const empty = await Deno.makeTempDir();
        try {
          const deno = ["run", "--cached-only", "--no-prompt", "--allow-net", MAIN];
          const env = { DENO_DIR: empty };
          const { code, stdout, stderr } = await runDeno([...deno, ...args], "", { env });
          assertEquals({ code, stdout }, { code: 1, stdout: "" });
          assertMatch(
            stderr,
            /^[^\n]* not found in cache: [^\n]* The first start downloads [^\n]*\n$/,
          );
        } finally {
          await Deno.remove(empty, { recursive: true });
        }
      },
    );
  }

  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    itNeeds(NEEDS, `answers what has arrived on ${signal}, and exits with 0`, async () => {
      await using server = await ServerProcess.start();
      using peer = await Peer.connect(server.port);
      await peer.ask("register", "Al");
      await peer.send("wait", "60");
      server.child.kill(signal);
      assertEquals(await peer.frame(), "0");
      assertEquals(await peer.frame(), undefined);
      peer.close();
      assertEquals((await server.child.status).code, 0);
    });
  }

  itNeeds(
    NEEDS,
    "exits with 0 on a signal that comes as soon as it has printed its line",
    async () => {
      for (let i = 0; i < 5; i++) {
        await using server = await ServerProcess.start();
        server.child.kill("SIGTERM");
        assertEquals((await server.child.status).code, 0);
      }
    },
  );

  itNeeds(NEEDS, "answers a client that connects as soon as it has printed its line", async () => {
    for (let i = 0; i < 5; i++) {
      await using server = await ServerProcess.start();
      using peer = await Peer.connect(server.port);
      assertEquals(await peer.ask("ping"), "pong");
    }
  });

  itNeeds(NEEDS, "exits with 0 on a signal, though a client never reads or closes", async () => {
    await using server = await ServerProcess.start();
    using peer = await Peer.connect(server.port);
    const help = encodeFrames(Array.from({ length: 1000 }, () => "help"));
    (async () => {
      for (;;) await peer.conn.write(help);
    })().catch(() => {});
    using idle = await Peer.connect(server.port);
    await idle.ask("ping");
    server.child.kill("SIGTERM");
    assertEquals((await server.child.status).code, 0);
  });

  itNeeds(NEEDS, "ends at once on a second signal more than a second later", async () => {
    await using server = await ServerProcess.start();
    using peer = await Peer.connect(server.port);
    await peer.ask("ping");
    server.child.kill("SIGTERM");
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    server.child.kill("SIGTERM");
    assertEquals((await server.child.status).code, 143);
  });

  itNeeds(
    { ...NEEDS, programs: ["sh"] },
    "takes a signal to its process group for one, though under deno task it comes twice",
    async () => {
      const task = `exec setsid ${Deno.execPath()} task start --port 0`;
      const child = new Deno.Command("sh", {
        args: ["-c", task],
        cwd: ROOT,
        stdin: "null",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      await using server = await ServerProcess.of(child);
      using peer = await Peer.connect(server.port);
      await peer.ask("register", "Al");
      await peer.send("wait", "60");
      new Deno.Command("kill", { args: ["-INT", "--", `-${child.pid}`] }).outputSync();
      assertEquals(await peer.frame(), "0");
      peer.close();
      assertEquals((await child.status).code, 0);
    },
  );

  itNeeds(
    { ...NEEDS, programs: ["sh"] },
    "goes on accepting after it had too many open files",
    async () => {
      const script =
        `ulimit -n 64; exec ${Deno.execPath()} run --no-prompt --allow-net ${MAIN} --port 0`;
      const child = new Deno.Command("sh", {
        args: ["-c", script],
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      await using server = await ServerProcess.of(child);
      const peers = await Promise.all(
        Array.from({ length: 100 }, () => Peer.connect(server.port)),
      );
      const log = await readUntil(child.stderr, "accept-failed");
      assertStringIncludes(log, "reason=accept-failed");
      for (const peer of peers) peer.close();
      using peer = await Peer.connect(server.port);
      assertEquals(await peer.ask("ping"), "pong");
    },
  );

  itNeeds(
    NEEDS,
    "goes on accepting after many clients that have gone before they were accepted",
    async () => {
      await using server = await ServerProcess.start("--log", "off");
      server.child.kill("SIGSTOP");
      for (let i = 0; i < 200; i++) await connectAndReset(server.port);
      server.child.kill("SIGCONT");
      using peer = await Peer.connect(server.port);
      let isAnswered = false;
      peer.ask("ping").then(() => isAnswered = true);
      await until(() => isAnswered, "it is accepted");
    },
  );

  itNeeds(NEEDS, "goes on serving when its log is not read, and still stops", async () => {
    await using server = await ServerProcess.startDeno([...RUN, "--port", "0"], {
      stderr: "piped",
    });
    for (let i = 0; i < 40; i++) {
      const peers = await Promise.all(Array.from({ length: 50 }, () => Peer.connect(server.port)));
      assertEquals(
        await Promise.all(peers.map((peer) => peer.ask("ping"))),
        peers.map(() => "pong"),
      );
      for (const peer of peers) peer.close();
    }
    server.child.kill("SIGTERM");
    assertEquals((await server.child.status).code, 0);
    const log = await new Response(server.child.stderr).text();
    assert(log.length < 1_000_000);
  });
});
