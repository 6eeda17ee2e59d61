import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { endWithin } from "../../lib/cli/serve.ts";
import { ExitError, messageOf } from "../../lib/errors.ts";
import { logOf } from "../support.ts";

/** A log, the text that it has written, and a program whose end throws. */
function setUp() {
  const { lines: written, log } = logOf("text");
  const fail = (error: unknown): never => {
    throw error;
  };
  return { written, log, program: { fail } };
}

describe("the stop of a server", () => {
  it("has its time", async () => {
    const { written, log, program } = setUp();
    await endWithin(10_000, log, program, () => Promise.resolve());
    await log.close(100);
    assertEquals(written, []);
  });

  it("ends the program when it does not end", async () => {
    const { written, log, program } = setUp();
    const stuck = endWithin(20, log, program, () => new Promise(() => {}));
    const error = await stuck.catch((error) => error);
    assert(error instanceof ExitError);
    assertEquals(
      messageOf(error),
      "The stop was not over after 0.02 s, so the server ends without it",
    );
    assert(written.some((line) => line.endsWith(" stop-timeout seconds=0.02")));
  });
});
