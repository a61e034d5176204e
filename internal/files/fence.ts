import { Buffer } from "node:buffer";
import * as path from "node:path";
import type { LockFile } from "../platform/flock.ts";
import type { Context } from "./context.ts";
import { listNames, removeFile } from "./disk.ts";
import { withGate } from "./gate.ts";
import { type Header, readHeader, type Stored, writeHeader } from "./header.ts";
import { isSessionId } from "./liveness.ts";
import type { LockDir } from "./lock_dir.ts";

const DIGITS = 19;

/**
 * Reserves tokens for a lock file and writes its header anew. Call it holding the lock, in whichever mode; whoever
 * holds it shared beside us finds the same header or waits for us at the gate. Undefined: the file is not the lock any
 * more.
 */
export function reserve(context: Context, dir: LockDir, file: LockFile): Promise<Header | undefined> {
  return withGate(dir.fence, { keeper: context, create: true }, async (fence) => {
    const { header: before } = readHeader(file);
    if (before && hasRoom(before, context.epoch)) return { ...before, record: "" };
    if (!dir.isCurrent(file)) return undefined;
    const { counter, ceiling } = await raise(context, fence, before?.ceiling);
    const header = { epoch: context.epoch, counter, ceiling, record: "" };
    writeHeader(file, header);
    forgetDead(context, dir);
    return header;
  });
}

/** The records of killed shared holders; reserving is rare enough to look through them. */
function forgetDead(context: Context, dir: LockDir): void {
  for (const name of listNames(context.disk, dir.holders)) {
    const [session = ""] = name.split("-");
    if (isSessionId(session) && !context.isAlive(session)) {
      removeFile(context.disk, path.join(dir.holders, name));
    }
  }
}

/** Whether the next token can be given without a reservation. */
export function hasRoom({ epoch, counter, ceiling }: Stored, present: string): boolean {
  return epoch === present && counter + 2n <= ceiling;
}

/** Moves the fence up, durably. All tokens that were ever given are at most the new `counter`. */
export async function raise(
  context: Context,
  fence: LockFile,
  known = 0n,
): Promise<{ counter: bigint; ceiling: bigint }> {
  const bytes = Buffer.alloc(DIGITS);
  const text = bytes.toString("latin1", 0, fence.read(bytes, 0));
  // A new one starts at the wall clock, in ns, so that tokens grow even if the directory was removed meanwhile.
  const stored = /^\d{19}$/.test(text) ? BigInt(text) : BigInt(Math.floor(context.fineTime() * 1000)) * 1000n;
  const counter = stored > known ? stored : known;
  const ceiling = counter + context.layout.block;
  fence.write(Buffer.from(String(ceiling).padStart(DIGITS, "0")), 0);
  await fence.sync();
  return { counter, ceiling };
}
