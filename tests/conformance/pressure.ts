import { readFileSync } from "node:fs";

/** How long some process has waited for a processor since the machine began, in ms; 0 where nobody counts it. */
export function waitedForProcessors(): number {
  try {
    const [, total] = /^some .*total=(\d+)/m.exec(readFileSync("/proc/pressure/cpu", "utf8")) ?? [];
    return Number(total ?? 0) / 1000;
  } catch {
    return 0; // Not Linux, or without this count.
  }
}
