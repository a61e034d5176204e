import type { OpenOptions } from "../driver.ts";

/** The deadline of one operation, in ms, once a ttl was granted that may be another than was asked for. */
export function timeoutOf(
  { ttl, timeout, longest }: Pick<OpenOptions, "ttl" | "timeout" | "longest">,
  granted: number,
): number {
  return granted === ttl ? timeout : Math.min(granted / 3, longest);
}
