/** A chat in NATS for the tests: servers of it, users on them, and entries stored without a server. */
import { assertRejects } from "@std/assert";
import type { Entry } from "../../lib/chat/entry.ts";
import { snapshotRows } from "../../lib/chat/snapshot.ts";
import type { Commits } from "../../lib/engine/commits.ts";
import { JournalError } from "../../lib/journal/journal.ts";
import { ServerProcess } from "../harness/crash/process.ts";
import { Peer } from "../peer.ts";
import { serveIn, type TestServer, until } from "../support.ts";
import type { Nats } from "./nats.ts";

export const MAIN = new URL("../../main.ts", import.meta.url);

/** Starts a server as a process of its own, which can be killed or paused. */
export function startProcess(nats: Nats, ...flags: string[]): Promise<ServerProcess> {
  return ServerProcess.start({ command: [MAIN], flags: ["--journal", nats.urls, ...flags] });
}

/** The message of a server that does not start with these flags. */
export async function refusal(nats: Nats, ...flags: string[]): Promise<string> {
  const start = async () => {
    await using _server = await serveIn(nats, ...flags);
  };
  return (await assertRejects(start, JournalError)).message;
}

/** Connects to a server, and registers. */
export async function connect({ port }: { port: number }, name: string): Promise<Peer> {
  const peer = await Peer.connect(port);
  await peer.ask("register", name);
  return peer;
}

/** The names of the events in a server's log. */
export function events({ lines }: TestServer): (string | undefined)[] {
  return lines.map((line) => line.split(" ")[1]);
}

/** Stores entries as one batch. */
export function store(commits: Commits, entries: readonly Entry[]): Promise<void> {
  return commits.store(...entries);
}

const AL = { session: { member: 0, count: 1 }, address: "10.0.0.1", peer: "10.0.0.1:1" };

export function register(user: string): Entry {
  return { kind: "command", at: 1, actor: AL, command: { name: "register", user } };
}

export function send(to: string, text: string): Entry {
  return { kind: "command", at: 1, actor: AL, command: { name: "send", to, text } };
}

/** A state as text: equal for equal states. */
export function textOf(commits: Commits): string {
  return [...snapshotRows(commits.published)].join();
}

/** For `snapshotEntries`: a snapshot is due after every 20 entries. */
export const HASTY = () => 20;

/** Waits until the first messages of the stream are gone, this many at least. */
export async function purged(nats: Nats, messages: number): Promise<void> {
  let begin = 1;
  await until(() => {
    nats.stream().then(({ first }) => begin = first);
    return begin > messages;
  }, "the stream is purged");
}
