/** `ping` as a process. */
import { assertEquals, assertMatch } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { encodeFrame } from "../../lib/protocol/frame.ts";
import { itNeeds } from "../needs.ts";
import { serve } from "../support.ts";
import { closedPort, RUN, run } from "./program.ts";

const PIPES = { permissions: ["net", "run", "read"] } as const;

describe("main.ts ping", () => {
  for (const [kind, ...flags] of [["server"], ["strict server", "--strict"]] as const) {
    itNeeds(PIPES, `ends with 0 where a ${kind} answers`, async () => {
      await using server = serve(...flags);
      assertEquals(await run("ping", `127.0.0.1:${server.port}`), {
        code: 0,
        stdout: `127.0.0.1:${server.port} answers: 0 users\n`,
        stderr: "",
      });
    });
  }

  itNeeds(
    { ...PIPES, programs: ["sh"] },
    "says that stdout can't be written where the disk behind it is full",
    async () => {
      await using server = serve();
      const ping = [Deno.execPath(), ...RUN, "ping", `127.0.0.1:${server.port}`].join(" ");
      const { code, stderr } = await new Deno.Command("sh", {
        args: ["-c", `exec ${ping} > /dev/full`],
      }).output();
      assertEquals(code, 1);
      assertMatch(
        new TextDecoder().decode(stderr),
        /^Cannot write to stdout: No space left on device[^\n]*\n$/,
      );
    },
  );

  itNeeds(PIPES, "ends with 1 where no server listens", async () => {
    const port = await closedPort();
    assertEquals(await run("ping", `127.0.0.1:${port}`), {
      code: 1,
      stdout: "",
      stderr: `No server answers at 127.0.0.1:${port} (deno task start starts one)\n`,
    });
  });

  for (
    const [what, bytes, why] of [
      [
        "sends what is not the protocol",
        new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n"),
        "The server sent bytes that are not the protocol\n",
      ],
      ["says that it is full", encodeFrame("Server is full!"), "Server is full!\n"],
      ["closes", new Uint8Array(0), "The server closed the connection\n"],
    ] as const
  ) {
    itNeeds(PIPES, `ends with 1 where the other end ${what}`, async () => {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const pinging = run("ping", `127.0.0.1:${listener.addr.port}`);
      using conn = await listener.accept();
      await conn.write(bytes);
      if (bytes.length === 0) await conn.closeWrite();
      assertEquals(await pinging, { code: 1, stdout: "", stderr: why });
    });
  }
});
