/** The token of the operator, which opens the metrics and the wire view. */
import { createHash, timingSafeEqual } from "node:crypto";
import { shareNetwork } from "../protocol/ip.ts";

/** After a wrong token no other one from there is judged for this long (ms). */
const PAUSE_MS = 1_000;
/** Pauses of at most this many networks are kept. With more, the oldest ends early. */
const PAUSES_MAX = 10_000;

/** Judges tokens, one wrong one in {@link PAUSE_MS} for each network. */
export class AdminToken {
  readonly #token: string;
  /**
   * When the pause of a network ends (ms, as `performance.now`). The oldest is first. Users whom a
   * proxy hides have one pause, and the machine of the proxy has another.
   */
  readonly #pauses = new Map<string, number>();

  constructor(token: string) {
    this.#token = token;
  }

  /** Judges a token from this address. `now` is the time (ms, as `performance.now`). */
  judge(given: string, address: string, now: number): "right" | "wrong" | "paused" {
    const network = shareNetwork(address) + (address.includes("#") ? "#" : "");
    if (now < (this.#pauses.get(network) ?? 0)) return "paused";
    if (isEqualSecret(given, this.#token)) return "right";
    this.#pauses.delete(network);
    this.#pauses.set(network, now + PAUSE_MS);
    const [oldest] = this.#pauses.keys();
    if (this.#pauses.size > PAUSES_MAX) this.#pauses.delete(oldest!);
    return "wrong";
  }
}

/** Compares in a time that does not depend on how many letters are right. */
function isEqualSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
