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
  /**
   * Clients cause at most this many lines a second, on average over 10 s, and those of one network
   * half of them. As many lines a second may tell of their commands.
   */
  readonly linesPerSMax: number;
}

/** Repeated events are summed up over this time (ms). */
const SUM_MS = 10_000;
/** In that time at most this many events of one kind from one client have a line each. */
const LINES_PER_SUM_MAX = 5;
/** And so many from one network: a class behind one address may make the same mistake at once. */
const LINES_PER_KIND_MAX = 100;
/** When a network has this many lines of one kind, a client that has one of them gets no more. */
const REPEATED_PER_KIND_MAX = 50;
/** So many sums at most are for single clients of a network; its other clients share one for a kind. */
const CLIENT_SUMS_MAX = 500;
/** At most this many sums are made; all further events share one. */
const SUMS_MAX = 2_000;
/** The lines of clients that were not written for this long (ms) may come at once. */
const BURST_MS = 10_000;

const encoder = new TextEncoder();

/** Events of one kind from one client in the present {@link SUM_MS}. */
interface Sum {
  readonly event: string;
  /** The fields of the line that tells how many more there were. */
  readonly fields: Fields;
  /** How many of them have a line. */
  lines: number;
  /** How many have none. */
  lost: number;
}

/** What the clients of a network have caused in the present {@link SUM_MS}. */
interface Network {
  /** The number of sums for single clients. */
  sums: number;
  lines: number;
  /** The lines of each kind of event. */
  readonly kinds: Map<string, number>;
}

/** Allows a number of lines a second. Those that were not written for {@link BURST_MS} may come at once. */
class Rate {
  readonly #perMs: number;
  #allowed: number;
  /** When that was counted (ms, as `performance.now`). */
  #at = performance.now();

  constructor(linesPerS: number) {
    this.#perMs = linesPerS / 1_000;
    this.#allowed = this.#perMs * BURST_MS;
  }

  /** Is one more line allowed now? Then it counts. */
  allows(): boolean {
    const now = performance.now();
    const allowed = this.#allowed + this.#perMs * (now - this.#at);
    this.#at = now;
    const isAllowed = allowed >= 1;
    this.#allowed = Math.min(allowed, this.#perMs * BURST_MS) - (isAllowed ? 1 : 0);
    return isAllowed;
  }
}

/**
 * Writes events to a sink. A slow reader of the sink never holds up the server, and no client can
 * make the log grow fast: events that repeat are summed up for each client, and the lines that clients
 * cause have a rate. One network of addresses has at most half of it.
 */
export class Log {
  readonly #sink: Sink;
  readonly #options: LogOptions;
  readonly #lines: string[] = [];
  readonly #sums = new Map<string, Sum>();
  readonly #networks = new Map<string, Network>();
  #sumTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #rate: Rate;
  readonly #commandRate: Rate;
  #dropped = 0;
  #writing: Promise<void> | undefined;

  constructor(sink: Sink, options: LogOptions) {
    this.#sink = sink;
    this.#options = options;
    this.#rate = new Rate(options.linesPerSMax);
    this.#commandRate = new Rate(options.linesPerSMax);
  }

  /** Logs an event of the server. Events of clients never take its place. */
  event(name: string, fields: Fields): void {
    if (!this.#isCounted("", name, {})) this.#push(name, fields, this.#options.linesMax);
  }

  /**
   * Logs an event that a client at this address has caused; "" where that is none or unknown. Events
   * are summed up for each `connection` of the fields. `more` makes further fields, if there is a line.
   */
  clientEvent(address: string, name: string, fields: Fields, more?: () => Fields): void {
    const { connection } = fields;
    if (this.#isCounted(address, name, { connection })) return;
    this.#pushOfClient(name, () => ({ ...fields, ...more?.() }));
  }

  /** Logs a refusal of what a client has sent, as {@link clientEvent} logs an event. */
  refused(address: string, reason: string, fields: Fields, more?: () => Fields): void {
    const { connection } = fields;
    if (this.#isCounted(address, "refused", { connection }, reason)) return;
    this.#pushOfClient("refused", () => ({ ...fields, ...more?.(), reason }));
  }

  /** Logs a command that was carried out. These lines are not summed up, and have a rate of their own. */
  command(fields: () => Fields): void {
    if (this.#options.format !== "off") this.#pushOfClient("command", fields, this.#commandRate);
  }

  /** Writes the waiting lines and sums, but takes at most `ms` milliseconds. */
  async close(ms: number): Promise<void> {
    this.#writeSums();
    if (this.#writing !== undefined) await within(ms, this.#writing);
  }

  /** Counts an event. Returns whether that is all, as there were many of this kind. */
  #isCounted(address: string, event: string, client: Fields, reason?: string): boolean {
    if (this.#options.format === "off") return true;
    this.#sumTimer ??= setTimeout(() => this.#writeSums(), SUM_MS);
    const name = shareNetwork(address);
    const network = this.#networks.get(name) ?? { sums: 0, lines: 0, kinds: new Map() };
    if (this.#networks.size < SUMS_MAX) this.#networks.set(name, network);
    const kind = `${name} ${event} ${reason ?? ""}`;
    const fields = { address: name === "" ? undefined : name, reason };
    const sum = this.#sumOfClient(network, kind, event, { ...fields, ...client }) ??
      this.#sumOf(kind, event, fields);
    const isFirst = sum.lines === 0;
    if (sum.lines >= LINES_PER_SUM_MAX) sum.lost++;
    else if (name === "" || this.#mayWrite(network, kind, isFirst)) {
      sum.lines++;
      return false;
    } else if (isFirst) this.#sumOf(kind, event, fields).lost++;
    else sum.lost++;
    return true;
  }

  /** Counts a line of a network, unless it has as many as it may have. Is it the first of a client? */
  #mayWrite(network: Network, kind: string, isFirst: boolean): boolean {
    const ofKind = network.kinds.get(kind) ?? 0;
    const ofKindMax = isFirst ? LINES_PER_KIND_MAX : REPEATED_PER_KIND_MAX;
    const linesMax = this.#options.linesPerSMax * SUM_MS / 2_000;
    if (ofKind >= ofKindMax || network.lines >= linesMax) return false;
    network.kinds.set(kind, ofKind + 1);
    network.lines++;
    return true;
  }

  /** The sum of a single client; `undefined` where its network has too many of these. */
  #sumOfClient(network: Network, kind: string, event: string, fields: Fields): Sum | undefined {
    const key = `${kind} ${fields.connection ?? ""}`;
    const found = this.#sums.get(key);
    if (found !== undefined || network.sums >= CLIENT_SUMS_MAX) return found;
    network.sums++;
    return this.#sumOf(key, event, fields);
  }

  #sumOf(key: string, event: string, fields: Fields): Sum {
    const isFull = this.#sums.size >= SUMS_MAX;
    const found = this.#sums.get(key) ?? (isFull ? this.#sums.get("") : undefined);
    if (found !== undefined) return found;
    const sum = {
      lines: 0,
      lost: 0,
      ...isFull ? { event: "others", fields: {} } : { event, fields },
    };
    this.#sums.set(isFull ? "" : key, sum);
    return sum;
  }

  #writeSums(): void {
    clearTimeout(this.#sumTimer);
    this.#sumTimer = undefined;
    for (const { event, fields, lost } of this.#sums.values()) {
      if (lost > 0) this.#pushOfClient(`${event}-again`, () => ({ ...fields, times: lost }));
    }
    this.#sums.clear();
    this.#networks.clear();
    if (this.#dropped === 0) return;
    const lines = this.#dropped;
    this.#dropped = 0;
    this.#push("dropped", { lines }, Infinity);
  }

  /** Adds a line that a client has caused, if there is room and the rate allows it. */
  #pushOfClient(name: string, fields: () => Fields, rate = this.#rate): void {
    if (rate.allows()) this.#push(name, fields(), this.#options.linesMax / 2);
    else this.#dropped++;
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
