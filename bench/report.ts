/** The figures as a table, and as a chart for the docs. */
import type { Figure } from "./scenarios.ts";

/** How a figure stands to its target. */
export function verdict({ value, must, goal, isCost = false }: Figure): string {
  if (Number.isNaN(value)) return "-";
  if (must === undefined || goal === undefined) return "";
  const reaches = (target: number) => isCost ? value <= target : value >= target;
  return reaches(goal) ? "goal" : reaches(must) ? "must" : "missed";
}

function rounded(value: number): string {
  return Number.isNaN(value) ? "-" : value.toFixed(value < 10 ? 2 : 0);
}

function target(value: number | undefined, isCost = false): string {
  return value === undefined ? "" : `${isCost ? "≤" : "≥"} ${value}`;
}

/** A table in Markdown. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { name, value, unit, must, goal, isCost, note = "" } = figure;
    const measured = `${rounded(value)} ${unit}`.trim();
    return [name, measured, target(must, isCost), target(goal, isCost), verdict(figure), note];
  });
  const head = ["", "measured", "must", "goal", "reached", ""];
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  const rule = widths.map((width) => "-".repeat(width));
  return [head, rule, ...rows].map(line).join("\n");
}

const BAR = { left: 470, width: 300, height: 16, gap: 10, most: 2 } as const;
const COLOURS: Record<string, string> = { goal: "#2a7f4f", must: "#4a78b5", missed: "#b5533c" };

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("`", "");
}

/** Bars of the targets: the line is what must be, to its right is better. */
export function chart(figures: readonly Figure[], caption: string): string {
  const shown = figures.filter(({ value, must }) => must !== undefined && !Number.isNaN(value));
  const rows = shown.map((figure, i) => {
    const { name, value, unit, must, isCost } = figure;
    const share = Math.min(BAR.most, isCost ? must! / value : value / must!);
    const y = 40 + i * (BAR.height + BAR.gap);
    const label = escape(`${rounded(value)} ${unit}`.trim());
    const width = (share / BAR.most * BAR.width).toFixed(1);
    return `<text x="${BAR.left - 10}" y="${y + 12}" text-anchor="end">${escape(name)}</text>` +
      `<rect x="${BAR.left}" y="${y}" width="${width}" height="${BAR.height}" ` +
      `fill="${COLOURS[verdict(figure)]}"/>` +
      `<text x="${BAR.left + BAR.width + 10}" y="${y + 12}">${label}</text>`;
  });
  const height = 50 + shown.length * (BAR.height + BAR.gap);
  const middle = BAR.left + BAR.width / BAR.most;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="930" height="${height}" ` +
    `font-family="sans-serif" font-size="12" role="img" aria-label="${escape(caption)}">`,
    `<rect width="930" height="${height}" fill="#fff"/>`,
    `<text x="10" y="20">${escape(caption)}</text>`,
    ...rows,
    `<line x1="${middle}" y1="32" x2="${middle}" y2="${height - 10}" stroke="#000"/>`,
    `<text x="${middle}" y="28" text-anchor="middle">must</text>`,
    `</svg>`,
    "",
  ].join("\n");
}
