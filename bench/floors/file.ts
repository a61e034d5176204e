/** The least that files can do: open, flock, read and write a counter, unlock, close, by the runtime's own means. */
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import { loadPlatform } from "../../internal/platform/platform.ts";

/** One acquire and release a time, alone. */
export async function floor(url: string): Promise<{ once(): Promise<void>; close(): Promise<void> }> {
  const platform = await loadPlatform();
  const path = `${fileURLToPath(url.replace(/\?.*$/, ""))}/floor`;
  const counter = new BigUint64Array(1);
  const bytes = new Uint8Array(counter.buffer);
  fs.mkdirSync(fileURLToPath(url.replace(/\?.*$/, "")), { recursive: true });
  return {
    once() {
      const file = platform.open(path, "create");
      if (!file.tryLock(true)) throw new Error("Cannot take the lock: somebody else holds it");
      file.read(bytes, 0);
      counter[0] = (counter[0] ?? 0n) + 1n;
      file.write(bytes, 0);
      file.unlock();
      file.close();
      return Promise.resolve();
    },
    close: () => Promise.resolve(fs.rmSync(path, { force: true })),
  };
}
