/** The log: one line for each event, written in the background and in order. */
import { within } from "./clock.ts";
import { shareNetwork } from "./protocol/ip.ts";
import { quoted } from "./text/printable.ts";

/** The fields of an event. Strings may come from the wire, so they are escaped. */
export type Fields = Readonly<Record<string, string | number | undefined>>;

/** The destination of the log. */
export type Sink = Pick<typeof Deno.stderr, "write">;

export interface LogOptions {
  /** `text`, `json` or `off`. */
  readonly format: string;
  /**
   * At most this many lines wait to be written, and half of them are of clients; further ones are
   * dropped and counted.
   */
  readonly linesMax: number;
  /** Clients cause at most this many lines a second, on average over 10 s. */
  readonly linesPerSMax: number;
}

/** Repeated events are summed up over this time (ms). */
const SUM_MS = 10_000;
/** In that time at most this many events of one kind from one network have a line each. */
const LINES_PER_SUM_MAX = 5;
/** At most this many kinds of events have a sum each; all further ones share one. */
const SUMS_MAX = 400;
/** The lines of clients that were not written for this long (ms) may come at once. */
const BURST_MS = 10_000;

const encoder = new TextEncoder();

/** Events of one kind from one network in the present {@link SUM_MS}. */
interface Sum {
  readonly event: string;
  /** The fields of the line that tells how many more there were. */
  readonly fields: Fields;
  times: number;
}

/**
 * Writes events to a sink. A slow reader of the sink never holds up the server, and no client can
 * make the log grow fast: events that repeat are summed up, and the lines that clients cause have a
 * rate.
 */
export class Log {
  readonly #sink: Sink;
  readonly #options: LogOptions;
  readonly #lines: string[] = [];
  readonly #sums = new Map<string, Sum>();
  #sumTimer: ReturnType<typeof setTimeout> | undefined;
  /** Lines that clients may cause now, and when that was counted (ms, as `performance.now`). */
  #allowed: number;
  #allowedAt = performance.now();
  #dropped = 0;
  #writing: Promise<void> | undefined;

  constructor(sink: Sink, options: LogOptions) {
    this.#sink = sink;
    this.#options = options;
    this.#allowed = options.linesPerSMax * BURST_MS / 1_000;
  }

  /** Logs an event of the server. Events of clients never take its place. */
  event(name: string, fields: Fields): void {
    if (!this.#isCounted("", name, {})) this.#push(name, fields, this.#options.linesMax);
  }

  /** Logs an event that a client at this address has caused; "" where that is none or unknown. */
  clientEvent(address: string, name: string, fields: Fields): void {
    if (!this.#isCounted(address, name, {})) this.#pushOfClient(name, fields);
  }

  /** Logs a refusal of what a client has sent. */
  refused(address: string, reason: string, fields: Fields): void {
    if (this.#isCounted(address, "refused", { reason })) return;
    this.#pushOfClient("refused", { ...fields, reason });
  }

  /** Writes the waiting lines and sums, but takes at most `ms` milliseconds. */
  async close(ms: number): Promise<void> {
    this.#writeSums();
    if (this.#writing !== undefined) await within(ms, this.#writing);
  }

  /** Counts an event. Returns whether that is all, as there were many of this kind. */
  #isCounted(address: string, event: string, about: Fields): boolean {
    if (this.#options.format === "off") return true;
    const network = shareNetwork(address);
    let key = `${network} ${event} ${about.reason ?? ""}`;
    if (!this.#sums.has(key) && this.#sums.size >= SUMS_MAX) {
      [key, event, about] = ["", "others", {}];
    } else if (network !== "") about = { address: network, ...about };
    const sum = this.#sums.get(key) ?? { event, fields: about, times: 0 };
    sum.times++;
    this.#sums.set(key, sum);
    this.#sumTimer ??= setTimeout(() => this.#writeSums(), SUM_MS);
    return sum.times > LINES_PER_SUM_MAX;
  }

  #writeSums(): void {
    clearTimeout(this.#sumTimer);
    this.#sumTimer = undefined;
    const { linesMax } = this.#options;
    for (const { event, fields, times } of this.#sums.values()) {
      const more = times - LINES_PER_SUM_MAX;
      if (more > 0) this.#push(`${event}-again`, { ...fields, times: more }, linesMax / 2);
    }
    this.#sums.clear();
    if (this.#dropped === 0) return;
    const lines = this.#dropped;
    this.#dropped = 0;
    this.#push("dropped", { lines }, Infinity);
  }

  /** Adds a line that a client has caused, if there is room and their rate allows it. */
  #pushOfClient(name: string, fields: Fields): void {
    const { linesMax, linesPerSMax } = this.#options;
    const now = performance.now();
    const allowed = this.#allowed + linesPerSMax * (now - this.#allowedAt) / 1_000;
    this.#allowed = Math.min(allowed, linesPerSMax * BURST_MS / 1_000);
    this.#allowedAt = now;
    if (this.#allowed < 1) {
      this.#dropped++;
    } else {
      this.#allowed--;
      this.#push(name, fields, linesMax / 2);
    }
  }

  /** Adds a line if fewer than `linesMax` wait, else counts it. */
  #push(name: string, fields: Fields, linesMax: number): void {
    if (this.#lines.length >= linesMax) {
      this.#dropped++;
      this.#sumTimer ??= setTimeout(() => this.#writeSums(), SUM_MS);
      return;
    }
    this.#lines.push(formatLine(this.#options.format, name, fields));
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    // Further lines of this turn leave in the same write.
    await Promise.resolve();
    while (this.#lines.length > 0) {
      let bytes = encoder.encode(this.#lines.splice(0).join(""));
      try {
        while (bytes.length > 0) bytes = bytes.subarray(await this.#sink.write(bytes));
      } catch {
        // The reader of the log has gone away, so nothing can be said about it.
      }
    }
    this.#writing = undefined;
  }
}

function formatLine(format: string, event: string, fields: Fields): string {
  const time = new Date().toISOString();
  if (format === "json") return `${quoted({ time, event, ...fields })}\n`;
  let line = `${time} ${event}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const text = String(value);
    line += ` ${key}=${/^[\w.:[\]-]+$/.test(text) ? text : quoted(text)}`;
  }
  return `${line}\n`;
}
