import type { Characteristic } from "../../characteristics.ts";
import type { Backend, Defaults, Opener } from "../../driver.ts";
import { systemClock } from "../clock.ts";
import { type Connect, openTree } from "./session.ts";

/** What every store of nodes promises. */
const PROMISES: readonly Characteristic[] = [
  "DISTRIBUTED_ACROSS_THREADS",
  "DISTRIBUTED_ACROSS_PROCESSES",
  "DISTRIBUTED_ACROSS_HOSTS",
  "FAIR",
  "PUSHED_LOCKS",
  "PUSHED_WATCHES",
  "DURABLE_FENCING",
  "LOSS_BEFORE_REGRANT",
];

/** Makes the backend of a store of nodes. */
export function treeBackend(driver: string, defaults: Defaults, connect: Connect): Backend {
  const opener: Opener = {
    driver,
    characteristics: new Set(PROMISES),
    clock: systemClock,
    defaults,
    open: (options) => openTree(connect, { driver, clock: systemClock }, options),
  };
  return opener;
}
