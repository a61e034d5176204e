import { getCoordinator } from "../mod.ts";
import type { BenchedBackend } from "./backends.ts";
import { type Amount, measure, type Summary, timed } from "./stats.ts";

/** An acquire and the release, alone, by this library and by the backend's own client with nothing around it. */
export interface Uncontended {
  readonly ours: Summary;
  readonly floor: Summary | undefined;
}

/** Measures both in turn; connections are made before. */
export async function measureUncontended(
  backend: BenchedBackend,
  url: string,
  amount: Amount,
): Promise<Uncontended> {
  await using coord = await getCoordinator(url);
  const lock = coord.lock("alone");
  const ours = timed(async () => {
    const lease = await lock.acquire();
    await lease.release();
  });
  const floor = await backend.floor?.(url);
  try {
    const summaries = await measure(floor ? [ours, timed(() => floor.once())] : [ours], amount);
    return { ours: summaries[0] as Summary, floor: summaries[1] }; // There is one for each subject.
  } finally {
    await floor?.close();
  }
}
