/** Something that can be done again and again. */
export interface Subject {
  /** Does it once; returns how long that took, in ms. */
  once(): Promise<number>;
}

/** What many measurements of one thing come to, in ms. */
export interface Summary {
  readonly samples: number;
  readonly p50: number;
  readonly p99: number;
}

/** How much to measure. */
export interface Amount {
  readonly blocks: number;
  readonly perBlock: number;
}

/** In ms. */
const WARM_UP = 500;

/** Times a function as a whole. */
export function timed(fn: () => Promise<unknown>): Subject {
  return {
    async once() {
      const start = performance.now();
      await fn();
      return performance.now() - start;
    },
  };
}

/** The value that a share of the sorted values does not exceed (nearest rank). */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? NaN;
}

export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  return { samples: sorted.length, p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) };
}

/**
 * Measures several subjects in one run, a block of each in turn, so that whatever slows the machine down slows all of
 * them. Before, each warms up: for a block, and for as long as a compiler may need for what is done so often.
 */
export async function measure(
  subjects: readonly Subject[],
  { blocks, perBlock }: Amount,
): Promise<Summary[]> {
  const values = subjects.map((): number[] => []);
  for (const subject of subjects) {
    const until = performance.now() + WARM_UP;
    for (let i = 0; i < perBlock || performance.now() < until; i++) await subject.once();
  }
  for (let block = 0; block < blocks; block++) {
    for (const [index, subject] of subjects.entries()) {
      for (let i = 0; i < perBlock; i++) values[index]?.push(await subject.once());
    }
  }
  return values.map(summarize);
}
