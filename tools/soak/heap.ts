/** The garbage collectors of the three runtimes; Deno and Node have theirs behind a flag. */
interface Collectors {
  gc?(): void;
  Bun?: { gc(force: boolean): void };
}

/** The heap in use after a full collection, in bytes. */
export async function collectedHeap(): Promise<number> {
  const { gc, Bun: bun } = globalThis as Collectors;
  // Twice, with a turn between: what the first finds dead may have kept other things alive until it is finalized.
  for (let round = 0; round < 2; round++) {
    if (bun) bun.gc(true);
    else if (gc) gc();
    else throw new Error("Cannot collect garbage: run with --expose-gc");
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return process.memoryUsage().heapUsed;
}

/** How a heap has grown. */
export interface Growth {
  /** Means of the first and the last third, in bytes. */
  readonly first: number;
  readonly last: number;
  readonly ratio: number;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Compares the last third of the samples with the first; undefined when there are too few. */
export function growth(samples: readonly number[]): Growth | undefined {
  const third = Math.floor(samples.length / 3);
  if (third === 0) return undefined;
  const [first, last] = [mean(samples.slice(0, third)), mean(samples.slice(-third))];
  return { first, last, ratio: last / first };
}
