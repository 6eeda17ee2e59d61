import { describe } from "@std/testing/bdd";
import { fuzz, someSeed } from "./fuzz.ts";
import { itNeeds } from "../../support.ts";

const PROCESSES = { permissions: ["net", "run"] } as const;

describe("a server that is thrown random and mutated bytes at", () => {
  itNeeds(PROCESSES, "serves others exactly, keeps its memory and stops cleanly", async () => {
    console.log(await fuzz({ streams: 2_000, seed: someSeed() }));
  });
});
