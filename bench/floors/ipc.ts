/** The least that shared memory can do: take a lock of the kernel's, count in the file, let go, by the C library. */
import { loadLibc } from "../../internal/platform/libc.ts";
import { failureOf, toCString } from "../../internal/platform/libc_calls.ts";
import { ofdPlatform } from "../../internal/platform/ofd.ts";

const PATH = `/dev/shm/coord-floor-${crypto.randomUUID()}`;

/** One acquire and release a time, alone. */
export async function floor(): Promise<{ once(): Promise<void>; close(): Promise<void> }> {
  const libc = await loadLibc();
  const file = ofdPlatform(libc).open(PATH, "create");
  const counter = new BigUint64Array(1);
  const bytes = new Uint8Array(counter.buffer);
  return {
    once() {
      if (!file.tryLock(true)) throw new Error("Cannot take the lock: somebody else holds it");
      file.read(bytes, 0);
      counter[0] = (counter[0] ?? 0n) + 1n;
      file.write(bytes, 0);
      file.unlock();
      return Promise.resolve();
    },
    close() {
      file.close();
      if (libc.unlink(toCString(PATH)) < 0) throw failureOf(libc, "unlink", PATH);
      return Promise.resolve();
    },
  };
}
