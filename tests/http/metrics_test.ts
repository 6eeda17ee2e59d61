/** The metrics: what they count, their format, and their description in the docs. */
import { assert, assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { commandNames } from "../../lib/protocol/command.ts";
import { MISTAKE_CODES } from "../../lib/protocol/mistake.ts";
import { REFUSALS } from "../../lib/protocol/reply.ts";
import { serveWeb, type TestWeb, until } from "../support.ts";
import { get } from "./requests.ts";

const decoder = new TextDecoder();
const NET_AND_READ = { permissions: ["net", "read"] } as const;

describe("the metrics", () => {
  /** A server with at least one command, refusal, mistake and message to count. */
  async function busy(...flags: string[]): Promise<TestWeb> {
    const server = serveWeb(...flags);
    using al = await Peer.connect(server.port);
    await al.ask("register", "Al");
    await al.ask("send", "Al", "1");
    await al.ask("send", "Al", "2");
    await al.ask("send", "Nobody", "3");
    await al.write(Uint8Array.of(0, 0, 0, 5));
    while (await al.frame() !== undefined);
    return server;
  }

  itNeeds(NET, "count commands by their result, mistakes, users, mail and bytes", async () => {
    await using server = await busy();
    await until(
      () => server.lines.some((line) => line.includes("disconnected")),
      "the client has left",
    );
    const lines = (await get(`${server.url}/metrics`)).text.split("\n");
    for (
      const line of [
        'asvt_chat_commands_total{command="register",result="welcome"} 1',
        'asvt_chat_commands_total{command="send",result="sent"} 2',
        'asvt_chat_commands_total{command="send",result="no-such-user"} 1',
        'asvt_chat_mistakes_total{code="big-endian"} 1',
        "asvt_chat_users 1",
        "asvt_chat_waiting_messages 2",
        "asvt_chat_connections 0",
        "asvt_chat_serving 1",
        `asvt_chat_bytes_total{direction="in"} ${18 + 2 * 19 + 23 + 4}`,
        // The start, three commands that changed something, and the end.
        "asvt_chat_batch_seconds_count 5",
      ]
    ) assert(lines.includes(line), `${line} is not in\n${lines.join("\n")}`);
  });

  itNeeds(NET, "begin at 0, so that an alert sees the first increase of each counter", async () => {
    await using server = serveWeb();
    const lines = (await get(`${server.url}/metrics`)).text.split("\n");
    const expected = [
      ...commandNames(false).flatMap((command) =>
        ["storage-away", "sent", "users", "mail", "help", ...REFUSALS].map((result) =>
          `asvt_chat_commands_total{command="${command}",result="${result}"} 0`
        )
      ),
      ...MISTAKE_CODES.map((code) => `asvt_chat_mistakes_total{code="${code}"} 0`),
      ...["in", "out"].map((way) => `asvt_chat_bytes_total{direction="${way}"} 0`),
    ];
    assertEquals(expected.filter((line) => !lines.includes(line)), []);
  });

  itNeeds(
    { permissions: ["net", "run"], programs: ["promtool"] },
    "are accepted by promtool without a complaint",
    async () => {
      await using server = await busy();
      const promtool = new Deno.Command("promtool", {
        args: ["check", "metrics"],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const writer = promtool.stdin.getWriter();
      await writer.write(new TextEncoder().encode((await get(`${server.url}/metrics`)).text));
      await writer.close();
      const { code, stdout, stderr } = await promtool.output();
      assertEquals([code, decoder.decode(stdout), decoder.decode(stderr)], [0, "", ""]);
    },
  );

  itNeeds(
    NET_AND_READ,
    "are all described in the docs, and the dashboard shows no other ones",
    async () => {
      await using server = await busy();
      const text = (await get(`${server.url}/metrics`)).text;
      const names = Array.from(text.matchAll(/^# TYPE (\w+)/gm), ([, name]) => name!).sort();
      const read = (path: string) =>
        Deno.readTextFileSync(new URL(`../../${path}`, import.meta.url));
      const described = read("docs/metrics.md").matchAll(/^\| `(\w+)/gm);
      assertEquals(Array.from(described, ([, name]) => name!).sort(), names);
      const shown = new Set(read("docs/grafana.json").match(/asvt_chat_\w+/g));
      const bases = Array.from(shown, (name) => name.replace(/_(bucket|sum|count)$/, ""));
      assertEquals(bases.filter((name) => !names.includes(name)), []);
      assert(bases.length > 8, `${bases.length} are shown`);
    },
  );
});
