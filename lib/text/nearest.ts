/** Finds the known word that a mistyped word is nearest to. */

/** A known word that is more edits away than this is no match. */
const EDITS_MAX = 2;
/** Of a longer word only this many UTF-16 units are compared. */
const COMPARED_UNITS_MAX = 64;

/** The known word with the fewest edits from `word`; `undefined` if each needs more than two. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const given = word.toLowerCase().slice(0, COMPARED_UNITS_MAX);
  const distances = known.map((name) => ({ name, edits: editDistance(given, name) }));
  const [best] = distances.sort((a, b) => a.edits - b.edits);
  return best !== undefined && best.edits <= EDITS_MAX ? best.name : undefined;
}

/** Levenshtein's distance: the insertions, deletions and replacements that make `b` from `a`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const replaced = row[j]! + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(replaced, row[j + 1]! + 1, next[j]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
