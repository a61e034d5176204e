import type { Characteristic } from "../../characteristics.ts";
import type { Fixture, Means } from "./suite.ts";

/** The means that a backend has. */
export function meansOf(fixture: Fixture, characteristics: ReadonlySet<Characteristic>): ReadonlySet<Means> {
  const means = new Set<Means>();
  if (characteristics.has("DISTRIBUTED_ACROSS_PROCESSES")) means.add("processes");
  // What rests on no time-out is gone at once when its connection is.
  if (!characteristics.has("NON_TIMEOUT_BASED")) means.add("expiry");
  else if (fixture.server) means.add("bound");
  if (fixture.server) means.add("server");
  if (fixture.server && fixture.unproxied === undefined) means.add("proxy").add("line");
  if (fixture.login) means.add("login");
  if (fixture.partition) means.add("line");
  return means;
}
