/** The benchmark itself: that its generator says what is true, and its report what was measured. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { LoadPlan, LoadResult } from "../bench/load.ts";
import { chart, table, verdict } from "../bench/report.ts";
import { itNeeds, type Needs, serve } from "./support.ts";

const LINUX: Needs = {
  permissions: ["net", "run", "read"],
  programs: Deno.build.os === "linux" ? [] : ["Linux"],
};

async function load(ports: readonly number[], depth = 1): Promise<LoadResult[]> {
  const targets = ports.map((port) => ({
    dialect: "chat" as const,
    hostname: "127.0.0.1",
    ports: [port],
  }));
  const times = { sliceS: 0.05, slices: 4, warmUpSlices: 2 };
  const plan: LoadPlan = { targets, connections: 3, depth, ...times };
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", "bench/load.ts", JSON.stringify(plan)],
    cwd: new URL("..", import.meta.url),
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  return JSON.parse(new TextDecoder().decode(stdout));
}

describe("the load generator", () => {
  for (const depth of [1, 16]) {
    itNeeds(
      LINUX,
      `is answered by a server, ${depth} at a time, and nothing is refused`,
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

  itNeeds(LINUX, "asks two servers in batch, and counts what each refuses", async () => {
    await using roomy = serve();
    await using narrow = serve("--mailbox-messages-max", "3");
    const results = await load([roomy.port, narrow.port]);
    assertEquals(results.map(({ refused }) => refused > 0), [false, true]);
  });
});

describe("the report", () => {
  const figure = { name: "speed", value: 0.7, unit: "", must: 0.5, goal: 0.8 };

  it("says whether a ratio, or a cost, reached its goal, what it must, or neither", () => {
    const of = (value: number, isCost: boolean) => {
      return verdict(
        isCost ? { ...figure, value, must: 2, goal: 1, isCost } : { ...figure, value },
      );
    };
    assertEquals([0.8, 0.5, 0.4, NaN].map((value) => of(value, false)), [
      "goal",
      "must",
      "missed",
      "-",
    ]);
    assertEquals([1, 2, 2.1].map((value) => of(value, true)), ["goal", "must", "missed"]);
  });

  it("has a row for each figure, and a bar for each with a target", () => {
    const figures = [figure, { name: "`users` <all>", value: 1.5, unit: "GB/s" }];
    assertEquals(table(figures).split("\n").length, 4);
    assertStringIncludes(table(figures), "1.50 GB/s");
    const svg = chart(figures, "here & now");
    assertEquals(svg.split("<rect").length - 1, 2);
    assertStringIncludes(svg, "here &amp; now");
  });
});
