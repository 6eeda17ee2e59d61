import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Command } from "../../../lib/protocol/command.ts";
import { type ChatState, emptyChat } from "../../../lib/chat/state.ts";
import { decodeEntries, encodeEntries } from "../../../lib/chat/entry_codec.ts";
import {
  CLUSTER,
  formatSteps,
  parseSteps,
  SERVER,
  simulateRounds,
  type Simulation,
} from "./simulate.ts";
import { someSeed } from "../command_line.ts";
import { itNeeds, missing } from "../../needs.ts";

const READ = { permissions: ["read"] } as const;
const ROUNDS = 300;

/** The names of the transcripts in a folder. */
function namesIn(folder: URL): string[] {
  if (missing(READ) !== undefined) return ["..."];
  return Array.from(Deno.readDirSync(folder), ({ name }) => name)
    .filter((name) => name.endsWith(".txt")).sort();
}

/** Simulates with a fault. Returns the printed transcript, which must fail only with the fault. */
async function foundIn<Step, Faults>(
  simulation: Simulation<Step, Faults>,
  faults: Faults,
): Promise<string[]> {
  const failing = simulateRounds(simulation, 1, ROUNDS, faults);
  const { message } = await assertRejects(() => failing, Error);
  assertMatch(message, /^It fails with --seed \d+ --rounds 1\./);
  const transcript = message.slice(message.indexOf("\n\n") + 2);
  const steps = parseSteps(simulation, transcript);
  await assertRejects(async () => await simulation.simulate(steps, faults));
  await simulation.simulate(steps);
  return transcript.trimEnd().split("\n");
}

/** The tests of both kinds of simulation. */
function describeSimulation<Step, Faults>(
  name: string,
  simulation: Simulation<Step, Faults>,
  folder: URL,
  more: () => void,
): void {
  describe(name, () => {
    for (const name of namesIn(folder)) {
      itNeeds(READ, `passes ${name}`, async () => {
        const transcript = Deno.readTextFileSync(new URL(name, folder));
        await simulation.simulate(parseSteps(simulation, transcript));
      });
    }

    it("passes random rounds", async () => {
      await simulateRounds(simulation, someSeed(), ROUNDS);
    });

    it("formats and parses all steps", () => {
      for (let seed = 0; seed < 50; seed++) {
        const steps = simulation.stepsOf(seed);
        assertEquals(parseSteps(simulation, formatSteps(simulation, steps)), steps);
      }
    });

    more();
  });
}

describeSimulation("simulate()", SERVER, new URL("./found/", import.meta.url), () => {
  it("finds a lost message, and a short transcript", async () => {
    const replace = (command: Command): Command =>
      command.name === "send" && command.text === "22" ? { name: "ping" } : command;
    const lines = await foundIn(SERVER, { replace });
    assert(lines.length <= 3, lines.join("\n"));
    assert(lines.some((line) => /^session \d+ of \S+: send \S+ 22$/.test(line)));
  });

  it("finds a fault that loses one of fifty messages", async () => {
    let sent = 0;
    const replace = (command: Command): Command =>
      command.name === "sendall" && ++sent % 50 === 0 ? { name: "users" } : command;
    const failing = simulateRounds(SERVER, 1, ROUNDS, { replace });
    await assertRejects(() => failing, Error, "It fails with --seed");
  });

  it("finds a batch that a replay leaves out, and a short transcript", async () => {
    const lines = await foundIn(SERVER, {
      read: ({ rows, batches }) => ({ rows, batches: [...batches].slice(0, -1) }),
    });
    assert(lines.length <= 4, lines.join("\n"));
  });

  it("finds a snapshot without its last row, and a short transcript", async () => {
    const lines = await foundIn(SERVER, {
      read: ({ rows, batches }) => ({ rows: [...rows].slice(0, -1), batches }),
    });
    assert(lines.length <= 6, lines.join("\n"));
    assert(lines.some((line) => line.startsWith("snapshot") || line.startsWith("start")));
  });
});

/** The batch with another text in its `send` commands. */
function withText(body: string, is: string, becomes: string): string {
  return encodeEntries(
    decodeEntries(body).map((entry) => {
      if (entry.kind !== "command" || entry.command.name !== "send") return entry;
      const { command } = entry;
      return command.text === is ? { ...entry, command: { ...command, text: becomes } } : entry;
    }),
  );
}

describeSimulation(
  "simulateCluster()",
  CLUSTER,
  new URL("./found/cluster/", import.meta.url),
  () => {
    it("finds a server that reads another text, and a short transcript", async () => {
      const read = (body: string, { members }: ChatState) =>
        members.all.length < 2 ? body : withText(body, "2", "22");
      const lines = await foundIn(CLUSTER, { read });
      assert(lines.length <= 9, lines.join("\n"));
      // The message may have come together with the next one.
      assertMatch(lines.slice(-2).join("\n"), / send \S+ 2$/m);
    });

    it("finds an entry that is lost on its way to the stream, and a short transcript", async () => {
      const send = (body: string) => {
        const batch = decodeEntries(body);
        return batch.length > 3 ? encodeEntries(batch.slice(0, -1)) : body;
      };
      const lines = await foundIn(CLUSTER, { send });
      assert(lines.length <= 9, lines.join("\n"));
    });

    it("finds a snapshot without the members, and a short transcript", async () => {
      const save = (state: ChatState) => ({ ...state, members: { ...state.members, all: [] } });
      const lines = await foundIn(CLUSTER, { save });
      assert(lines.length <= 14, lines.join("\n"));
      assert(lines.some((line) => line.endsWith(" stores its snapshot")));
    });

    it("finds a snapshot without the mail, and a short transcript", async () => {
      const save = (state: ChatState) => ({
        ...state,
        mailboxes: emptyChat(state.settings).mailboxes,
      });
      const lines = await foundIn(CLUSTER, { save });
      assert(lines.length <= 11, lines.join("\n"));
      assert(lines.some((line) => line.endsWith(" stores its snapshot")));
    });

    it("finds a server that takes a sent message for stored, and a short transcript", async () => {
      const lines = await foundIn(CLUSTER, { takesSentForStored: true });
      assert(lines.length <= 4, lines.join("\n"));
    });
  },
);
