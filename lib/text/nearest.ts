/** Finds the known word that a mistyped word is nearest to. */

/** A known word that is more edits away than this is no match. */
const EDITS_MAX = 2;
/** So is one of which fewer than this many symbols for each edit are the same. */
const SYMBOLS_PER_EDIT = 3;
/** Of a longer word only this many UTF-16 units are compared. */
const COMPARED_UNITS_MAX = 64;

/**
 * The known word with the fewest edits from `word`; `undefined` if each needs more than two, or more
 * than one for each three symbols.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const given = word.toLowerCase().slice(0, COMPARED_UNITS_MAX);
  const distances = known.map((name) => ({ name, edits: editDistance(given, name) }));
  const [best] = distances.sort((a, b) => a.edits - b.edits);
  if (best === undefined || best.edits > EDITS_MAX) return undefined;
  return SYMBOLS_PER_EDIT * best.edits <= best.name.length ? best.name : undefined;
}

/**
 * Levenshtein's distance, but two neighbours that changed places are one edit: the least number of
 * insertions, deletions, replacements and such exchanges that make `b` from `a`.
 */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? rows[i - 2]![j - 2]! + 1 : Infinity;
      row.push(Math.min(replaced, swapped, rows[i - 1]![j]! + 1, row[j - 1]! + 1));
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
