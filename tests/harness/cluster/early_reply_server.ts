/**
 * A deliberately broken server, which the cluster harness has to catch: it replies to the commands of a
 * batch, and sends the batch to the stream afterwards.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Entry } from "../../../lib/chat/entry.ts";
import { SharedJournal, type SharingListener } from "../../../lib/journal/shared_journal.ts";
import { serveCluster } from "./server.ts";

/** A batch is sent this long after its replies (ms). */
const LATE_MS = 30;

const real = { ...Object.getOwnPropertyDescriptors(SharedJournal.prototype) };
let listener: SharingListener;
let batches = { member: "", count: 0 };
let sent = Promise.resolve();
/** Called when a batch that was sent has come back, or was given up. */
let over = () => {};

SharedJournal.prototype.follow = function (given) {
  listener = given;
  const came: SharingListener["came"] = (batch, origin) => {
    given.came(batch, origin);
    if (origin !== "foreign") over();
  };
  real.follow.value!.call(this, { ...given, came });
};

SharedJournal.prototype.commit = function (entries, failed) {
  const { member } = this;
  if (member === undefined) return failed(new Error("This server is not a member yet"));
  batches = { member, count: batches.member === member ? batches.count + 1 : 1 };
  const first: Entry = { kind: "batch", at: Date.now(), member, batch: batches.count };
  listener.came([first, ...entries], "own");
  sent = sent.then(() => sleep(LATE_MS)).then(() =>
    new Promise<void>((resolve) => {
      over = resolve;
      real.commit.value!.call(this, entries, () => resolve());
    })
  );
};

await serveCluster(Deno.args);
