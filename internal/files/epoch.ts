import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { Clock } from "../../driver.ts";
import { sleep } from "../clock.ts";
import { isSame, type LockFile, type Platform } from "../platform/flock.ts";
import type { Failures } from "./failure.ts";

/**
 * An epoch is a time without a restart of the machine: while a session of it lives, what any process wrote is seen by
 * all. Every live session holds the epoch file locked shared; one that finds it free is alone and starts an epoch of
 * its own. So whoever reads its own epoch in a lock file knows that the counter beside it is the latest, not what the
 * disk had kept of it.
 */
export interface Epoch {
  readonly id: string;
  /** Held open, and locked, for the session's life. */
  readonly file: LockFile;
}

const DIGITS = 16;

/** Joins the present epoch, or begins one. */
export async function joinEpoch(
  path: string,
  options: { platform: Platform; failures: Failures; clock: Clock; timeout: number; signal: AbortSignal },
): Promise<Epoch> {
  const { platform, failures, clock, timeout, signal } = options;
  const deadline = clock.now() + timeout;
  let file = platform.open(path, "create");
  try {
    for (;;) {
      if (!isSame(file.identity(), platform.identify(path))) {
        // Who was alone has just removed it.
        file.close();
        file = platform.open(path, "create");
      }
      if (file.tryLock(true)) {
        file.write(Buffer.from(newEpoch()), 0);
        file.unlock();
      }
      if (file.tryLock(false)) {
        if (isSame(file.identity(), platform.identify(path))) return { id: read(file) ?? newEpoch(), file };
        file.unlock();
      }
      if (clock.now() >= deadline) {
        throw failures.refuse(`lock ${JSON.stringify(path)}`, "another program holds it");
      }
      await sleep(clock, Math.random() * 2, signal);
    }
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Undefined: somebody emptied the file. Then an epoch of one's own is safe, if slower. */
function read(file: LockFile): string | undefined {
  const bytes = Buffer.alloc(DIGITS);
  const text = bytes.toString("latin1", 0, file.read(bytes, 0));
  return /^[0-9a-f]{16}$/.test(text) ? text : undefined;
}

function newEpoch(): string {
  return randomBytes(DIGITS / 2).toString("hex");
}
