/** Random numbers from a seed, the same on each machine. A test that fails prints its seed. */

/** A generator of numbers from 0 up to, but without, 1 (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A whole number from 0 up to, but without, `below`. */
export function wholeBelow(random: () => number, below: number): number {
  return Math.floor(random() * below);
}

/** One of the choices. */
export function pick<Choice>(random: () => number, choices: readonly Choice[]): Choice {
  return choices[wholeBelow(random, choices.length)]!;
}

/** Checks a property with a new seed. Throws an error that names the seed where it fails. */
export function withSeed(property: (random: () => number) => void): void {
  const seed = Math.floor(Math.random() * 4_294_967_296);
  try {
    property(randomFrom(seed));
  } catch (error) {
    throw new Error(`It fails with the seed ${seed}`, { cause: error });
  }
}
