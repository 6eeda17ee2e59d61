/** The benchmark: its load generator, its report, and the figures in the docs. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { DIALECTS } from "../bench/dialects.ts";
import type { LoadPlan, LoadResult, Target } from "../bench/load.ts";
import type { Figure } from "../bench/figure.ts";
import { startMosquitto } from "../bench/peers.ts";
import { OURS, ratio } from "../bench/race.ts";
import { brokenBound, chart, table } from "../bench/report.ts";
import { itNeeds, type Needs } from "./needs.ts";
import { serve } from "./support.ts";

const LINUX: Needs = {
  permissions: ["net", "run", "read"],
  programs: Deno.build.os === "linux" ? [] : ["Linux"],
};
const MOSQUITTO: Needs = {
  permissions: [...LINUX.permissions, "write"],
  programs: [...LINUX.programs!, "mosquitto"],
};

async function load(
  ports: readonly number[],
  depth = 1,
  dialect: Target["dialect"] = "chat",
): Promise<LoadResult[]> {
  const targets = ports.map((port) => ({ dialect, hostname: "127.0.0.1", ports: [port] }));
  const times = { sliceS: 0.05, slices: 4, warmUpSlices: 2 };
  const plan: LoadPlan = { targets, connections: 3, depth, ...times };
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", "bench/load.ts", JSON.stringify(plan)],
    cwd: new URL("..", import.meta.url),
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Loads a mosquitto with these settings. */
async function loadMosquitto(depth: number, ...settings: string[]): Promise<LoadResult> {
  const folder = await Deno.makeTempDir();
  try {
    await using mosquitto = (await startMosquitto(folder, ...settings))!;
    const [result] = await load([mosquitto.port], depth, "mqtt");
    return result!;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

describe("the dialect of MQTT", () => {
  const { hello, store, replyEnd, isStored, isDelivery } = DIALECTS.mqtt;
  const ascii = (text: string) => [...new TextEncoder().encode(text)];
  const delivery = Uint8Array.of(0x30, 6, 0, 2, ...ascii("u7"), ...ascii("hi"));
  const acknowledgement = Uint8Array.of(0x40, 2, 0, 1);

  it("sends packets as MQTT 3.1.1 has them", () => {
    assertEquals(hello(7).map((bytes) => [...bytes]), [
      [0x10, 14, 0, 4, ...ascii("MQTT"), 4, 2, 0, 0, 0, 2, ...ascii("u7")],
      [0x82, 7, 0, 1, 0, 2, ...ascii("u7"), 0],
    ]);
    const publish = store(7, 15);
    assertEquals([...publish.subarray(0, 8)], [0x32, 46, 0, 2, ...ascii("u7"), 0, 16]);
    assertEquals(publish.length, 48);
  });

  it("finds the end of a packet that arrives in pieces, with bytes behind it", () => {
    for (const packet of [delivery, acknowledgement]) {
      const bytes = concat([Uint8Array.of(9), packet, delivery]) as Uint8Array<ArrayBuffer>;
      const end = 1 + packet.length;
      for (let to = 1; to < end; to++) assertEquals(replyEnd(bytes, 1, to, false), -1);
      for (let to = end; to < bytes.length; to++) assertEquals(replyEnd(bytes, 1, to, false), end);
    }
  });

  it("tells a message from the reply to a request", () => {
    const tell = (bytes: Uint8Array<ArrayBuffer>) => [
      isDelivery!(bytes, 0),
      isStored(bytes, 0, bytes.length),
    ];
    assertEquals(tell(delivery), [true, false]);
    assertEquals(tell(acknowledgement), [false, true]);
  });
});

describe("the load generator", () => {
  for (const depth of [1, 16]) {
    itNeeds(
      LINUX,
      `gets replies from a server, ${depth} at a time, and nothing is refused`,
      async () => {
        await using server = serve();
        const [result] = await load([server.port], depth);
        const { perS, refused, slowestOfMean } = result!;
        assertEquals(perS.length, 4);
        assert(perS.every((value) => value > 0));
        assertEquals(refused, 0);
        assert(slowestOfMean > 0 && slowestOfMean <= 1);
      },
    );
  }

  itNeeds(LINUX, "loads two servers alternately, and counts what each refuses", async () => {
    await using roomy = serve();
    await using narrow = serve("--mailbox-messages-max", "3");
    const results = await load([roomy.port, narrow.port]);
    assertEquals(results.map(({ refused }) => refused > 0), [false, true]);
  });

  for (const depth of [1, 16]) {
    itNeeds(MOSQUITTO, `gets every message from mosquitto, ${depth} at a time`, async () => {
      const { perS, refused, undelivered } = await loadMosquitto(depth);
      assertEquals(perS.length, 4);
      assert(perS.every((value) => value > 0));
      assertEquals([refused, undelivered], [0, 0]);
    });
  }

  itNeeds(MOSQUITTO, "counts the messages that mosquitto does not deliver", async () => {
    // An empty list of rights allows nothing. The broker acknowledges a PUBLISH that it drops, but
    // mosquitto 2.0.11 without a limit of messages closes the connection instead.
    const settings = ["acl_file /dev/null", "max_queued_messages 1000"];
    const { refused, undelivered } = await loadMosquitto(1, ...settings);
    assertEquals(refused, 0);
    assert(undelivered > 0);
  });
});

describe("ratio()", () => {
  const result: LoadResult = {
    perS: [300, 400, 500],
    meanMs: 1,
    p999Ms: 2,
    slowestOfMean: 1,
    refused: 0,
    undelivered: 0,
    cpuShare: 0.5,
  };
  const compare = (ours: Partial<LoadResult>, theirs?: Partial<LoadResult>) => {
    const results = new Map([[OURS, [{ ...result, ...ours }]]]);
    if (theirs !== undefined) results.set("mosquitto", [{ ...result, ...theirs }]);
    const { value, note } = ratio(results, "mosquitto", "speed");
    return { value, note };
  };

  it("divides slice by slice, and takes the median", () => {
    assertEquals(compare({}, { perS: [200, 100, 250] }).value, 2);
  });

  it("is not a number when a program is missing, and when messages were refused or lost", () => {
    assertEquals(compare({}), { value: NaN, note: "not installed" });
    assertEquals(compare({ refused: 1 }, {}), { value: NaN, note: "messages were refused" });
    assertEquals(compare({}, { undelivered: 1 }), { value: NaN, note: "messages were lost" });
  });
});

describe("the report", () => {
  const figure: Figure = { name: "speed", value: 0.7, unit: "", beside: "Redis", note: "7 and 10" };

  it("names a figure beyond its bound, and keeps quiet about one that was not measured", () => {
    const isBroken = (value: number, bound: Pick<Figure, "atLeast" | "atMost">) =>
      brokenBound({ ...figure, value, ...bound }) !== undefined;
    assertEquals(
      [0.8, 0.5, 0.4, NaN].map((value) => isBroken(value, { atLeast: 0.5 })),
      [false, false, true, false],
    );
    assertEquals([1, 2, 2.1].map((value) => isBroken(value, { atMost: 2 })), [false, false, true]);
    assertEquals(isBroken(0, {}), false);
    assertEquals(
      brokenBound({ ...figure, atLeast: 0.8 }),
      "speed, compared with Redis: 0.70, expected at least 0.8",
    );
  });

  it("has a row for each figure, and a bar for each that is compared with a program", () => {
    const figures: Figure[] = [
      { ...figure, spread: [0.6, 0.9] },
      { name: "`users` <all>", value: 1.5, unit: "GB/s" },
      { name: "slow", value: NaN, unit: "", beside: "Redis", note: "not installed" },
    ];
    const rows = table(figures).split("\n");
    assertEquals(rows.length, 5);
    assertEquals(rows[2]!.split("|").map((cell) => cell.trim()).slice(1, -1), [
      ...["speed", "0.70", "Redis", "0.60 to 0.90", "7 and 10"],
    ]);
    assertStringIncludes(table(figures), "1.50 GB/s");
    const svg = chart(figures, "here & now");
    assertEquals(svg.split("<rect").length - 1, 2);
    assertStringIncludes(svg, "0.70 of Redis");
    assertStringIncludes(svg, "here &amp; now");
  });

  it("cuts a bar that is longer than the chart", () => {
    const svg = (...values: number[]) =>
      chart(values.map((value) => ({ ...figure, value, spread: [value, value] })), "");
    const bars = (svg: string) =>
      Array.from(svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)"/g), ([, width]) => width);
    const cuts = (svg: string) => svg.split('stroke="#fff"').length - 1;
    assertEquals(bars(svg(1.5, 0.75)), ["300.0", "150.0"]);
    assertEquals(cuts(svg(1.5, 0.75)), 0);
    assertEquals(bars(svg(12.5, 1.25)), ["300.0", "150.0"]);
    assertEquals(cuts(svg(12.5, 1.25)), 1);
  });
});

describe("docs/performance.md", () => {
  const read = (name: string) => Deno.readTextFileSync(new URL(`../docs/${name}`, import.meta.url));

  itNeeds({ permissions: ["read"] }, "shows the figures of performance.json", () => {
    const { machine, figures } = JSON.parse(read("performance.json"));
    assertStringIncludes(read("performance.md"), table(figures));
    const dense = (svg: string) => svg.replace(/\s/g, "");
    assertEquals(dense(read("performance.svg")), dense(chart(figures, machine)));
  });
});
