import { assert, assertEquals } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { itNeeds, NET } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serve, until } from "../support.ts";

const PEERS = 1_000;
/** Each peer sends a message to this many others in each round. */
const FRIENDS = 5;
const ROUNDS = 3;
/** Peers whose number is a multiple of this also send one to all in each round. */
const BROADCASTER = 100;

const IDLE = 10_000;
/** Files that the process of the server may open besides the connections of idle peers. */
const OTHER_FILES = 500;

/** A message to one peer or to all, with a text that no other message has. */
interface Message {
  readonly to: number | "all";
  readonly text: string;
}

function nameOf(peer: number): string {
  return `peer${peer}`;
}

/** The messages of a peer, in their order. */
function messagesOf(peer: number): Message[] {
  const messages: Message[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (let friend = 1; friend <= FRIENDS; friend++) {
      const to = (peer + friend * friend) % PEERS;
      messages.push({ to, text: `round ${round} from ${peer} to ${to}` });
    }
    if (peer % BROADCASTER === 0) messages.push({ to: "all", text: `round ${round} from ${peer}` });
  }
  return messages;
}

/** The texts of a mailbox by sender, in order: the senders may interleave. */
type Mailbox = Map<string, string[]>;

function put(mailbox: Mailbox, from: string, text: string): void {
  mailbox.set(from, [...mailbox.get(from) ?? [], text]);
}

function expectedMailboxes(): Mailbox[] {
  const mailboxes = Array.from({ length: PEERS }, (): Mailbox => new Map());
  for (let from = 0; from < PEERS; from++) {
    for (const { to, text } of messagesOf(from)) {
      for (const [peer, mailbox] of mailboxes.entries()) {
        if (peer === to || (to === "all" && peer !== from)) put(mailbox, nameOf(from), text);
      }
    }
  }
  return mailboxes;
}

/** Receives the mail of a peer, and sorts it by sender. */
async function receiveInto(mailbox: Mailbox, peer: Peer): Promise<void> {
  for (const mail of await peer.mail("receive")) {
    const [from = "", text = ""] = mail.split(": ");
    put(mailbox, from, text);
  }
}

/** Sends the messages of a peer one by one, and receives its mail after each round. */
async function converse(peer: Peer, index: number, mailbox: Mailbox): Promise<void> {
  for (const [sent, { to, text }] of messagesOf(index).entries()) {
    const command = to === "all" ? ["sendall", text] : ["send", nameOf(to), text];
    assertEquals(await peer.ask(...command), "Message added to storage!");
    if (sent % FRIENDS === FRIENDS - 1) await receiveInto(mailbox, peer);
  }
}

/** The number of files that a process may open here. */
async function openFilesMax(): Promise<number> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", "ulimit -n"] }).output();
  const limit = new TextDecoder().decode(stdout).trim();
  return limit === "unlimited" ? Infinity : Number(limit);
}

/** The idle peers, in a process of their own. */
class IdlePeers {
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
  }

  /** Resolves when all of them are connected. */
  static async connect(port: number, count: number): Promise<IdlePeers> {
    const script = new URL("./idle_peers.ts", import.meta.url).href;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-net", script, String(port), String(count)],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    assertEquals(new TextDecoder().decode(value), `${count} are open\n`);
    return new IdlePeers(child);
  }

  /** Closes the connections. */
  async leave(): Promise<void> {
    await this.#child.stdin.close();
    assert((await this.#child.status).success);
  }
}

async function chat(alice: Peer, bob: Peer, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    assertEquals(await alice.ask("send", "Bob", `${round}`), "Message added to storage!");
    assertEquals(await bob.mail("receive"), [`Alice: ${round}`]);
    assertEquals(await bob.ask("send", "Alice", `${round}`), "Message added to storage!");
    assertEquals(await alice.mail("receive"), [`Bob: ${round}`]);
  }
}

describe("a server under load", () => {
  itNeeds(NET, `loses and mixes up none of the messages of ${PEERS} connections`, async () => {
    await using server = serve("--users-per-address-max", "20000", "--log", "off");
    using all = new DisposableStack();
    const peers: Peer[] = [];
    for (let index = 0; index < PEERS; index++) {
      peers.push(all.use(await Peer.connect(server.port)));
    }
    await Promise.all(peers.map(async (peer, index) => {
      assertEquals(await peer.ask("register", nameOf(index)), `Hello, ${nameOf(index)}`);
    }));
    const mailboxes = peers.map((): Mailbox => new Map());
    await Promise.all(peers.map((peer, index) => converse(peer, index, mailboxes[index]!)));
    await Promise.all(peers.map((peer, index) => receiveInto(mailboxes[index]!, peer)));
    for (const [index, expected] of expectedMailboxes().entries()) {
      assertEquals(mailboxes[index], expected);
    }
  });

  const processes = { permissions: ["net", "run"], programs: ["sh"] } as const;
  itNeeds(
    processes,
    `serves two users beside ${IDLE} idle connections, and forgets closed ones`,
    async () => {
      const idle = Math.min(IDLE, await openFilesMax() - OTHER_FILES);
      assert(idle > 0, "a process may open too few files here");
      if (idle < IDLE) console.log(`Only ${idle} idle connections: the limit of open files is low`);
      await using server = serve(
        ...["--connections-max", `${idle + 2}`, "--connections-per-address-max", `${idle + 2}`],
        ...["--idle-timeout-s", "600"],
      );
      const isOpen = (connections: number) => () => server.server.facts.connections === connections;
      using alice = await Peer.connect(server.port);
      using bob = await Peer.connect(server.port);
      assertEquals(await alice.ask("register", "Alice"), "Hello, Alice");
      assertEquals(await bob.ask("register", "Bob"), "Hello, Bob");

      const peers = await IdlePeers.connect(server.port, idle);
      await until(isOpen(idle + 2), "all idle peers are connected");
      using surplus = await Peer.connect(server.port);
      assertEquals(await surplus.frame(), "Server is full!");
      await chat(alice, bob, 100);

      await peers.leave();
      await until(isOpen(2), "all idle peers are disconnected");
      using late = await Peer.connect(server.port);
      assertEquals(await late.ask("users"), "2");
      await chat(alice, bob, 100);
    },
  );
});
