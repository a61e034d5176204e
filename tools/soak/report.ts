import type { Tally } from "./book.ts";
import { growth } from "./heap.ts";

/** What a soak of one backend has come to. */
export interface Outcome {
  readonly backend: string;
  readonly minutes: number;
  readonly kills: number;
  readonly tally: Tally;
  /** Heap samples of the survivors, in bytes. */
  readonly heaps: readonly { readonly id: string; readonly samples: readonly number[] }[];
  readonly troubles: ReadonlyMap<string, number>;
  readonly problems: readonly string[];
}

/** What ten minutes must bring; less time, less in proportion. */
const PER_MINUTE = { handoffs: 1_000, kills: 25 };

/** Below this a runtime is still warming up, and its heap tells nothing; in minutes. */
const LEAST_FOR_HEAP = 5;

/** The most that a survivor's heap may grow from the first third to the last. */
const MOST_GROWTH = 1.1;

/** What speaks against a soak. */
export function complaints({ minutes, kills, tally, heaps, problems }: Outcome): string[] {
  const found = tally.violations.slice(0, 5).map(({ kind, lock, text }) => `${kind} on "${lock}": ${text}`);
  if (tally.violations.length > 5) found.push(`${tally.violations.length - 5} more violations`);
  const [handoffs, wanted] = [PER_MINUTE.handoffs * minutes, PER_MINUTE.kills * minutes];
  if (tally.handoffs < handoffs) found.push(`want ${handoffs} hand-overs, got ${tally.handoffs}`);
  if (kills < wanted) found.push(`want ${wanted} kills, got ${kills}`);
  for (const { id, samples } of minutes < LEAST_FOR_HEAP ? [] : heaps) {
    const grown = growth(samples);
    if (!grown) found.push(`the heap of ${id} was not sampled often enough`);
    else if (grown.ratio > MOST_GROWTH) found.push(`the heap of ${id} grew by ${percent(grown.ratio)}`);
  }
  return [...found, ...problems];
}

function percent(ratio: number): string {
  return `${((ratio - 1) * 100).toFixed(1)} %`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

function describeHeap({ id, samples }: Outcome["heaps"][number]): string {
  const grown = growth(samples);
  if (!grown) return `heap of ${id}: too few samples`;
  const { first, last, ratio } = grown;
  return `heap of ${id}: ${megabytes(first)} in the first third, ${megabytes(last)} in the last (${
    percent(ratio)
  })`;
}

/** The report on one backend; it ends with PASS or FAIL. */
export function formatOutcome(outcome: Outcome): string {
  const { backend, minutes, kills, tally, heaps, troubles } = outcome;
  const count = (kind: string) => tally.violations.filter((violation) => violation.kind === kind).length;
  const wrong = complaints(outcome);
  return [
    `${backend}, ${minutes} min`,
    `  ${tally.grants} grants, ${tally.handoffs} hand-overs between processes, ${kills} kills (${tally.killed} of holders)`,
    `  ${count("two holders")} times two holders, ${count("token did not grow")} tokens that did not grow`,
    `  ${tally.lost} holds lost with a signal; ${
      [...troubles].map(([name, times]) => `${times} x ${name}`).join(", ") || "no errors"
    }`,
    ...heaps.map((heap) => `  ${describeHeap(heap)}`),
    ...wrong.map((complaint) => `  ${complaint}`),
    `  ${wrong.length === 0 ? "PASS" : "FAIL"} ${backend}`,
  ].join("\n");
}
