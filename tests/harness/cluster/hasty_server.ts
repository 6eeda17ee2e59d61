/**
 * The server of the cluster test with a journal that breaks its promise, for the test to find out:
 * it says that a batch is stored, and sends it to the stream only then.
 */
import type { Entry } from "../../../lib/chat/entry.ts";
import type { SharingListener } from "../../../lib/journal/journal.ts";
import { SharedJournal } from "../../../lib/journal/shared_journal.ts";
import { serveCluster } from "./server.ts";

/** What is stored late is sent after so long, in milliseconds. */
const LATE_MS = 30;

const honest = { ...Object.getOwnPropertyDescriptors(SharedJournal.prototype) };
let listener: SharingListener;
let batches = { member: "", count: 0 };
let sent = Promise.resolve();

SharedJournal.prototype.follow = function (given) {
  listener = given;
  honest.follow.value!.call(this, given);
};

SharedJournal.prototype.commit = function (entries, stored) {
  const { member } = this;
  if (member === undefined) return stored(new Error("This server takes no part yet"));
  batches = { member, count: batches.member === member ? batches.count + 1 : 1 };
  const first: Entry = { kind: "batch", at: Date.now(), member, batch: batches.count };
  listener.came([first, ...entries], "own");
  stored();
  sent = sent.then(() => new Promise((resolve) => setTimeout(resolve, LATE_MS))).then(() =>
    new Promise((resolve) => honest.commit.value!.call(this, entries, () => resolve()))
  );
};

await serveCluster(Deno.args);
