/**
 * A deliberately broken server, which the cluster harness has to catch: it replies to the commands of a
 * batch, and sends the batch to the stream afterwards.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Entry } from "../../../lib/chat/entry.ts";
import type { SharingListener } from "../../../lib/journal/journal.ts";
import { SharedJournal } from "../../../lib/journal/shared_journal.ts";
import { serveCluster } from "./server.ts";

/** A batch is sent this long after its replies (ms). */
const LATE_MS = 30;

const real = { ...Object.getOwnPropertyDescriptors(SharedJournal.prototype) };
let listener: SharingListener;
let batches = { member: "", count: 0 };
let sent = Promise.resolve();

SharedJournal.prototype.follow = function (given) {
  listener = given;
  real.follow.value!.call(this, given);
};

SharedJournal.prototype.commit = function (entries, stored) {
  const { member } = this;
  if (member === undefined) return stored(new Error("This server is not a member yet"));
  batches = { member, count: batches.member === member ? batches.count + 1 : 1 };
  const first: Entry = { kind: "batch", at: Date.now(), member, batch: batches.count };
  listener.came([first, ...entries], "own");
  stored();
  sent = sent.then(() => sleep(LATE_MS)).then(() =>
    new Promise((resolve) => real.commit.value!.call(this, entries, () => resolve()))
  );
};

await serveCluster(Deno.args);
