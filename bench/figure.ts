/** A measured figure, and how the values of several runs become one. */

/** One figure. */
export interface Figure {
  readonly name: string;
  /** `NaN`: it could not be measured, and `note` says why. */
  readonly value: number;
  /** Empty for a ratio. */
  readonly unit: string;
  /** The program that was measured in the same slices of time: the value is ours divided by its. */
  readonly beside?: string;
  /** The least and the greatest value of several runs; `value` is their median. */
  readonly spread?: readonly [least: number, greatest: number];
  /** The numbers behind the figure. */
  readonly note?: string;
  /** The command fails when the value is less. */
  readonly atLeast?: number;
  /** The command fails when the value is greater. */
  readonly atMost?: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? sorted[Math.floor(middle)]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The median of the values of several runs, and their spread where there are several. */
export function summarize(values: readonly number[]): Pick<Figure, "value" | "spread"> {
  const value = median(values);
  if (values.length < 2) return { value };
  return { value, spread: [Math.min(...values), Math.max(...values)] };
}

/** The value that a share (0 to 1) of the values does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  return Float64Array.from(values).sort()[Math.floor(share * (values.length - 1))] ?? NaN;
}
