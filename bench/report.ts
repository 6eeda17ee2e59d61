/** The figures as a table, as a chart for the docs, and as warnings. */
import type { Figure } from "./figure.ts";

function rounded(value: number): string {
  return Number.isNaN(value) ? "-" : value.toFixed(value < 10 ? 2 : 0);
}

function measured({ value, unit }: Figure): string {
  return `${rounded(value)} ${unit}`.trim();
}

/** A table in Markdown, as `deno fmt` writes one. */
export function table(figures: readonly Figure[]): string {
  const head = ["", "measured", "compared with", "least to greatest", ""];
  const rows = figures.map((figure) => {
    const { name, beside = "", spread = [], note = "" } = figure;
    return [name, measured(figure), beside, spread.map(rounded).join(" to "), note];
  });
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  const rule = widths.map((width) => "-".repeat(width));
  return [head, rule, ...rows].map(line).join("\n");
}

/** A sentence about a figure beyond the bound that the command checks; none if it keeps the bound. */
export function brokenBound(figure: Figure): string | undefined {
  const { name, value, beside, atLeast = -Infinity, atMost = Infinity } = figure;
  if (Number.isNaN(value) || (value >= atLeast && value <= atMost)) return undefined;
  const what = beside === undefined ? name : `${name}, compared with ${beside}`;
  const bound = value < atLeast ? `at least ${atLeast}` : `at most ${atMost}`;
  return `${what}: ${measured(figure)}, expected ${bound}`;
}

const BAR = { left: 350, width: 300, height: 16, gap: 10 } as const;
const WIDTH = 930;
/** The chart is as wide as a bar of this ratio, at least and at most. */
const RATIO = { least: 1.2, greatest: 2.5 } as const;
/** The gap in a bar that is cut is this far from its end. */
const CUT = 30;

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("`", "");
}

/**
 * A bar for each figure that is compared with another program, and a black line over it from its least
 * to its greatest value. The vertical line is the speed of the other program. A bar that is longer than
 * the chart is cut, and has a gap.
 */
export function chart(figures: readonly Figure[], caption: string): string {
  const shown = figures.filter(({ value, beside }) => beside !== undefined && !Number.isNaN(value));
  const ratios = shown.flatMap(({ value, spread = [] }) => [value, ...spread]);
  const longest = Math.min(Math.max(RATIO.least, ...ratios), RATIO.greatest);
  const length = (ratio: number) => Math.min(ratio / longest, 1) * BAR.width;
  const x = (ratio: number) => (BAR.left + length(ratio)).toFixed(1);
  const height = 50 + shown.length * (BAR.height + BAR.gap);
  const rows = shown.map((figure, i) => {
    const { name, value, beside, spread: [least, greatest] = [value, value] } = figure;
    const y = 40 + i * (BAR.height + BAR.gap);
    const middle = y + BAR.height / 2;
    const end = BAR.left + BAR.width;
    const gap = `<line x1="${end - CUT}" y1="${y + BAR.height + 2}" x2="${end - CUT + 6}" ` +
      `y2="${y - 2}" stroke="#fff" stroke-width="4"/>`;
    const label = escape(`${measured(figure)} of ${beside}`);
    return `<text x="${BAR.left - 10}" y="${y + 12}" text-anchor="end">${escape(name)}</text>` +
      `<rect x="${BAR.left}" y="${y}" width="${length(value).toFixed(1)}" height="${BAR.height}" ` +
      `fill="#4a78b5"/>` +
      `<line x1="${x(least)}" y1="${middle}" x2="${x(greatest)}" y2="${middle}" stroke="#000"/>` +
      (value > longest ? gap : "") +
      `<text x="${end + 10}" y="${y + 12}">${label}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
    `font-family="sans-serif" font-size="12" role="img" aria-label="${escape(caption)}">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="10" y="20">${escape(caption)}</text>`,
    ...rows,
    `<line x1="${x(1)}" y1="32" x2="${x(1)}" y2="${height - 10}" stroke="#000"/>`,
    `<text x="${x(1)}" y="28" text-anchor="middle">as fast</text>`,
    `</svg>`,
    "",
  ].join("\n");
}
