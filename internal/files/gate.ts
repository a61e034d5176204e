import type { Clock } from "../../driver.ts";
import { sleep } from "../clock.ts";
import { isSame, type LockFile, type Platform } from "../platform/flock.ts";
import { type Failures, ifThere } from "./failure.ts";

/** What a gate needs of its session. */
export interface GateKeeper {
  readonly platform: Platform;
  readonly failures: Failures;
  readonly clock: Clock;
  /** How long to wait for the gate, in ms. */
  readonly timeout: number;
}

/** The longest pause between two tries. */
const PAUSE = 4;

/**
 * Does a short step while nobody else is in the gate: a file that is locked for the length of it. `create` makes the
 * file; without, a missing one answers undefined.
 */
export async function withGate<T>(
  path: string,
  options: { keeper: GateKeeper; create: boolean },
  step: (file: LockFile) => T | Promise<T>,
): Promise<T | undefined> {
  const file = await enter(path, options);
  if (!file) return undefined;
  try {
    return await step(file);
  } finally {
    // Closing alone would keep the lock while a child process is being started.
    file.unlock();
    file.close();
  }
}

async function enter(
  path: string,
  options: { keeper: GateKeeper; create: boolean },
): Promise<LockFile | undefined> {
  const { platform, failures, clock, timeout } = options.keeper;
  const access = options.create ? "create" : "write";
  const deadline = clock.now() + timeout;
  for (;;) {
    const file = options.create ? platform.open(path, access) : ifThere(() => platform.open(path, access));
    if (!file) return undefined;
    if (file.tryLock(true)) {
      // Who was before us may have moved the directory away.
      if (isSame(file.identity(), platform.identify(path))) return file;
      file.unlock();
      file.close();
      continue;
    }
    file.close();
    if (clock.now() >= deadline) {
      const state = `its lock was held by another process for ${timeout} ms; is that stopped?`;
      throw failures.refuse(`enter ${JSON.stringify(path)}`, state);
    }
    await sleep(clock, Math.random() * PAUSE);
  }
}
