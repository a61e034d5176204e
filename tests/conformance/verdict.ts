import { meansOf } from "./means.ts";
import { REQUIRED } from "./required.ts";
import type { Case, Fixture, Need } from "./suite.ts";

/** Whether a case can be played on a backend: it can, it need not, or the driver is not finished. */
export type Verdict = { readonly kind: "run" } | { readonly kind: "skip" | "fail"; readonly reason: string };

/** Who never leaves its process; everybody else must be fit for several. */
const IN_ONE_PROCESS: ReadonlySet<string> = new Set(["zake"]);
const SHARED: readonly Need[] = ["processes"];

/** Decides by what the driver promises with no more than its defaults. */
export function judge({ needs = [] }: Case, fixture: Fixture): Verdict {
  const { driver } = fixture;
  const { characteristics } = fixture.factory();
  const has = new Set<Need>([...characteristics, ...meansOf(fixture, characteristics)]);
  const lacking = needs.filter((need) => !has.has(need));
  const required: readonly Need[] = [...REQUIRED[driver] ?? [], ...IN_ONE_PROCESS.has(driver) ? [] : SHARED];
  const owed = lacking.filter((need) => required.includes(need));
  if (owed.length > 0) {
    return { kind: "fail", reason: `${driver} must promise ${owed.join(", ")}, and does not` };
  }
  if (lacking.length === 0) return { kind: "run" };
  return { kind: "skip", reason: [...new Set(lacking.map((need) => explain(fixture, need)))].join(", ") };
}

function explain({ driver, unproxied }: Fixture, need: Need): string {
  if (unproxied !== undefined && (need === "proxy" || need === "line")) return unproxied;
  if (need === "processes") return `${driver} lives in one process`;
  if (need === "server") return `${driver} has no server`;
  if (need === "proxy") return `${driver} has no TCP connection`;
  if (need === "line") return `no member can be cut off from ${driver}`;
  if (need === "login") return `the servers of ${driver} that it runs on refuse nobody`;
  if (need === "expiry") return `on ${driver} nothing expires`;
  if (need === "bound") return `a session of ${driver} is no connection`;
  return `${driver} does not promise ${need}, and need not`;
}
