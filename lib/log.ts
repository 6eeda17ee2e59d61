/** The log: one line for each event, written in the background and in order. */
import { within } from "./clock.ts";
import { quoted } from "./text/printable.ts";

/** The fields of an event. Strings may come from the wire, so they are escaped. */
export type Fields = Readonly<Record<string, string | number | undefined>>;

/** The destination of the log. */
export type Sink = Pick<typeof Deno.stderr, "write">;

export interface LogOptions {
  /** `text`, `json` or `off`. */
  readonly format: string;
  /** At most this many lines wait to be written; further ones are dropped and counted. */
  readonly linesMax: number;
}

/** Repeated refusals are summed up over this time (ms). */
const SUM_MS = 10_000;
/** In that time at most this many refusals for one reason from one address have a line each. */
const REFUSAL_LINES_MAX = 5;
/** At most this many kinds of refusals have a sum each; all further ones share one. */
const SUMS_MAX = 1_000;

const encoder = new TextEncoder();

/** Writes events to a sink. A slow reader of the sink never holds up the server. */
export class Log {
  readonly #sink: Sink;
  readonly #format: string;
  readonly #linesMax: number;
  readonly #lines: string[] = [];
  #dropped = 0;
  #writing: Promise<void> | undefined;
  readonly #sums = new Map<string, { fields: Fields; times: number }>();
  #sumTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(sink: Sink, { format, linesMax }: LogOptions) {
    this.#sink = sink;
    this.#format = format;
    this.#linesMax = linesMax;
  }

  /** Logs an event. */
  event(name: string, fields: Fields): void {
    if (this.#format === "off") return;
    if (this.#lines.length >= this.#linesMax) {
      this.#dropped++;
      return;
    }
    this.#lines.push(formatLine(this.#format, name, fields));
    this.#writing ??= this.#write();
  }

  /** Logs a refusal, or only counts it if there were many for this reason from this address. */
  refused(address: string, reason: string, fields: Fields): void {
    if (this.#format === "off") return;
    const hasRoom = this.#sums.size < SUMS_MAX;
    const key = hasRoom ? `${address} ${reason}` : "others";
    const times = (this.#sums.get(key)?.times ?? 0) + 1;
    this.#sums.set(key, { fields: hasRoom ? { address, reason } : {}, times });
    if (times <= REFUSAL_LINES_MAX) this.event("refused", { ...fields, reason });
    this.#sumTimer ??= setTimeout(() => this.#writeSums(), SUM_MS);
  }

  /** Writes the waiting lines and sums, but takes at most `ms` milliseconds. */
  async close(ms: number): Promise<void> {
    this.#writeSums();
    if (this.#writing !== undefined) await within(ms, this.#writing);
  }

  #writeSums(): void {
    clearTimeout(this.#sumTimer);
    this.#sumTimer = undefined;
    for (const { fields, times } of this.#sums.values()) {
      const more = times - REFUSAL_LINES_MAX;
      if (more > 0) this.event("refused-again", { ...fields, times: more });
    }
    this.#sums.clear();
  }

  async #write(): Promise<void> {
    // Further lines of this turn leave in the same write.
    await Promise.resolve();
    while (this.#lines.length > 0 || this.#dropped > 0) {
      const lines = this.#lines.splice(0);
      if (this.#dropped > 0) {
        lines.push(formatLine(this.#format, "dropped", { lines: this.#dropped }));
        this.#dropped = 0;
      }
      let bytes = encoder.encode(lines.join(""));
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
