import type { Characteristic } from "../../characteristics.ts";
import type { Backend, Defaults, Opener } from "../../driver.ts";
import { systemClock } from "../clock.ts";
import { type Connect, openSql } from "./session.ts";

/** What a database promises. */
const PROMISES: readonly Characteristic[] = [
  "DISTRIBUTED_ACROSS_THREADS",
  "DISTRIBUTED_ACROSS_PROCESSES",
  "DISTRIBUTED_ACROSS_HOSTS",
  "FAIR",
  "PUSHED_LOCKS",
  "PUSHED_WATCHES",
  "CRASH_RELEASE",
  "NON_TIMEOUT_BASED",
  "DURABLE_FENCING",
];

/** What a driver brings. */
export interface SqlDriver {
  readonly driver: string;
  readonly defaults: Defaults;
  /** So many waits a session may have under way at once. */
  readonly maxWaiting: number;
}

/** Makes the backend of a database. */
export function sqlBackend({ driver, defaults, maxWaiting }: SqlDriver, connect: Connect): Backend {
  const opener: Opener = {
    driver,
    characteristics: new Set(PROMISES),
    clock: systemClock,
    defaults,
    open: (options) => openSql(connect, { driver, clock: systemClock, maxWaiting }, options),
  };
  return opener;
}
