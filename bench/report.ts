import type { BenchedBackend } from "./backends.ts";
import type { Facts } from "./machine.ts";
import type { Summary } from "./stats.ts";

/** A line of the report. Times are in ms. */
export interface Row {
  readonly backend: string;
  readonly what: "acquire + release" | "hand-over";
  readonly ours: Summary;
  readonly floor: Summary | undefined;
  /** p50 to p50. */
  readonly ratio: number | undefined;
  /** What must hold. */
  readonly bar: string | undefined;
  readonly passed: boolean | undefined;
}

/** Compares what was measured with the bars of the backend. */
export function judge(
  { name, bars }: BenchedBackend,
  what: Row["what"],
  { ours, floor }: Pick<Row, "ours" | "floor">,
): Row {
  const ratio = floor && ours.p50 / floor.p50;
  const most = what === "hand-over" ? bars.handoffRatio : bars.uncontendedRatio;
  const mostMs = what === "hand-over" ? bars.handoff : bars.uncontended;
  const checks = [
    ...(most === undefined || ratio === undefined
      ? []
      : [{ text: `<= ${most} x floor`, holds: ratio <= most }]),
    ...(mostMs === undefined ? [] : [{ text: `p50 <= ${mostMs} ms`, holds: ours.p50 <= mostMs }]),
  ];
  return {
    backend: name,
    what,
    ours,
    floor,
    ratio,
    bar: checks.length > 0 ? checks.map(({ text }) => text).join(", ") : undefined,
    passed: checks.length > 0 ? checks.every(({ holds }) => holds) : undefined,
  };
}

function micros(ms: number | undefined): string {
  return ms === undefined ? "" : `${(ms * 1000).toFixed(1)}`;
}

function cells({ backend, what, ours, floor, ratio, bar, passed }: Row): string[] {
  return [
    what,
    backend,
    micros(ours.p50),
    micros(ours.p99),
    micros(floor?.p50),
    micros(floor?.p99),
    ratio === undefined ? "" : ratio.toFixed(2),
    bar ?? "",
    passed === undefined ? "" : passed ? "PASS" : "FAIL",
  ];
}

const HEAD = ["times in us", "backend", "p50", "p99", "floor p50", "floor p99", "ratio", "bar", ""];

/** The report for people. */
export function formatReport(facts: Facts, rows: readonly Row[]): string {
  const table = [HEAD, ...rows.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) =>
    row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column >= 2 && column <= 6 ? cell.padStart(width) : cell.padEnd(width);
    }).join("  ").trimEnd()
  );
  const versions = Object.entries(facts.versions).map(([name, version]) => `${name}: ${version}`);
  return [`${facts.date}  ${facts.cpu}  ${facts.system}  ${facts.runtime}`, ...versions, "", ...lines].join(
    "\n",
  );
}
