import process from "node:process";

/** The garbage collectors of the three runtimes; Deno and Node have theirs behind a flag. */
interface Collectors {
  gc?(): void;
  Bun?: { gc(force: boolean): void };
}

function collect(): void {
  const { gc, Bun: bun } = globalThis as Collectors;
  if (bun) bun.gc(true);
  else if (gc) gc();
  else throw new Error("Cannot collect garbage: run with --expose-gc");
}

/**
 * The heap in use after a full collection, in bytes: the least of a few, because one that comes in the middle of a
 * runtime's own collection leaves garbage, and what it finds dead may keep other things alive until it is finalized.
 */
export async function collectedHeap(): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < 3; round++) {
    collect();
    least = Math.min(least, process.memoryUsage().heapUsed);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return least;
}

/** How a heap has grown. */
export interface Growth {
  /** Medians of the first and the last third, in bytes. */
  readonly first: number;
  readonly last: number;
  readonly ratio: number;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

/** Compares the last third of the samples with the first; undefined when there are too few. */
export function growth(samples: readonly number[]): Growth | undefined {
  const third = Math.floor(samples.length / 3);
  if (third === 0) return undefined;
  const [first, last] = [median(samples.slice(0, third)), median(samples.slice(-third))];
  return { first, last, ratio: last / first };
}
