import type { Libc } from "../../internal/platform/libc_calls.ts";

const REALTIME = 0;

/**
 * The system's time in ms since 1970, to the microsecond: tokens start at it, and a namespace may be removed and made
 * anew within a millisecond.
 */
export function fineTime(libc: Libc): () => number {
  const time = new BigInt64Array(2);
  const bytes = new Uint8Array(time.buffer);
  return () => {
    libc.clock_gettime(REALTIME, bytes);
    return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
  };
}
