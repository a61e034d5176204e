import type { Outcome } from "./demo.ts";

/** The last words on a run. */
export interface Verdict {
  readonly isGood: boolean;
  readonly text: string;
}

/** The most that is told of one kind. */
const MOST = 5;

function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => String(row[column]).length))) ??
    [];
  const cell = (value: string | number, column: number) =>
    typeof value === "number"
      ? String(value).padStart(widths[column] ?? 0)
      : value.padEnd(widths[column] ?? 0);
  return rows.map((row) => row.map(cell).join("   ").trimEnd()).join("\n");
}

function workerTable({ workers, ledger }: Outcome): string {
  const refused = (id: string) => ledger.refused.filter(({ worker }) => worker === id).length;
  return table([
    ["worker", "runtime", "end", "written", "refused"],
    ...workers.map(({ id, runtime, condition, written }) => [id, runtime, condition, written, refused(id)]),
  ]);
}

function complaints({ ledger, workers, isComplete }: Outcome): string[] {
  const failed = workers.filter(({ condition }) => condition === "failed").map(({ id }) => `${id} failed`);
  const short = "the work was over before every fault had happened: take more files, or more --seconds";
  return [...ledger.faults(), ...failed, ...(isComplete ? [] : [short])];
}

/** Judges a run by what reached the store. */
export function judge(outcome: Outcome): Verdict {
  const { ledger, kills } = outcome;
  const wrong = complaints(outcome);
  const counts = `repeated attempts: ${ledger.takenOver.length + ledger.refused.length} ` +
    `(taken over: ${ledger.takenOver.length}, late writes refused: ${ledger.refused.length}), kills: ${kills}`;
  const { summary } = ledger;
  const sum = summary
    ? `Summary by ${summary.worker}: ${ledger.files.length} files, ${summary.result.lines} lines, ` +
      `${summary.result.words} words`
    : "No summary";
  const result = wrong.length === 0
    ? [
      `VERDICT: passed: the effective result of each of ${ledger.files.length} files was written once; ${counts}`,
    ]
    : [
      `VERDICT: FAILED: ${counts}`,
      ...wrong.slice(0, MOST).map((complaint) => `  ${complaint}`),
      ...(wrong.length > MOST ? [`  and ${wrong.length - MOST} more`] : []),
    ];
  return { isGood: wrong.length === 0, text: ["", workerTable(outcome), "", sum, ...result].join("\n") };
}
