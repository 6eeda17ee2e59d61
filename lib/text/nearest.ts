/** Finds the word that somebody meant who mistyped it. */

/** A word that is more edits away than this was not meant. */
const EDITS_MAX = 2;
/** Only this many symbols of a long word are compared. */
const COMPARED_MAX = 64;

/** The known word that is the fewest edits away from `word`, if it is at most two. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const distances = known.map((name) => ({ name, edits: editDistance(word.toLowerCase(), name) }));
  const best = distances.sort((a, b) => a.edits - b.edits)[0];
  return best !== undefined && best.edits <= EDITS_MAX ? best.name : undefined;
}

/** Levenshtein's distance: how many insertions, deletions and replacements batch `a` into `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 0; i < Math.min(a.length, COMPARED_MAX); i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const replaced = row[j]! + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(replaced, row[j + 1]! + 1, next[j]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
