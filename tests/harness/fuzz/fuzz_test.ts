import { describe } from "@std/testing/bdd";
import { itNeeds } from "../../needs.ts";
import { someSeed } from "../command_line.ts";
import { fuzz } from "./fuzz.ts";

const PROCESSES = { permissions: ["net", "run"] } as const;

describe("a server that gets random and mutated bytes", () => {
  itNeeds(
    PROCESSES,
    "serves another client as before, keeps its memory small and stops cleanly",
    async () => {
      console.log(await fuzz({ streams: 2_000, seed: someSeed() }));
    },
  );
});
