import type { Characteristic } from "../characteristics.ts";
import type { Opener } from "../driver.ts";
import { unknownOption } from "../internal/url.ts";
import type { CoordinatorOptions } from "./api/coordinator.ts";
import { DriverChosenPoorlyError } from "./errors.ts";
import { checkDuration, checkName } from "./names.ts";

const KNOWN: Record<keyof CoordinatorOptions, true> = {
  memberId: true,
  characteristics: true,
  namespace: true,
  ttl: true,
  margin: true,
  heartbeat: true,
  drivers: true,
  signal: true,
};

const DEFAULT_TTL = 30_000;

/** The longest that one operation may take, in ms, however long the ttl, unless the driver's options say otherwise. */
const LONGEST_OPERATION = 10_000;

/** A coordinator's options, checked and complete. */
export interface Settings {
  readonly memberId: string;
  readonly namespace: string;
  readonly ttl: number;
  /** Undefined: a share of the ttl as granted. */
  readonly margin: number | undefined;
  readonly heartbeat: "auto" | "manual";
  /** The deadline of one operation, in ms, with that ttl. */
  readonly timeout: number;
  /** The most that it may be with any other ttl. */
  readonly longest: number;
}

/**
 * Completes the options of a coordinator: code wins over the URL, which wins over the defaults.
 * @throws {TypeError | RangeError} for a value that cannot be
 */
export function settle(opener: Opener, options: CoordinatorOptions): Settings {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(KNOWN, name)) throw unknownOption("getCoordinator", name, Object.keys(KNOWN));
  }
  const { defaults } = opener;
  const {
    memberId = defaults.memberId ?? crypto.randomUUID(),
    namespace = defaults.namespace ?? "tooz",
    ttl = defaults.ttl ?? DEFAULT_TTL,
    margin = defaults.margin,
    heartbeat = defaults.heartbeat ?? "auto",
  } = options;
  checkDuration("ttl", ttl, 1);
  if (margin !== undefined && checkDuration("margin", margin) >= ttl) {
    throw new RangeError(`Cannot use margin ${margin}: want less than the ttl of ${ttl} ms`);
  }
  if (heartbeat !== "auto" && heartbeat !== "manual") {
    throw new TypeError(`Cannot use heartbeat ${JSON.stringify(heartbeat)}: want "auto" or "manual"`);
  }
  const longest = checkDuration("timeout", defaults.timeout ?? LONGEST_OPERATION, 1);
  return {
    memberId: checkName("member id", memberId),
    namespace: checkName("namespace", namespace),
    ttl,
    margin,
    heartbeat,
    timeout: Math.min(ttl / 3, longest),
    longest,
  };
}

/**
 * @throws {DriverChosenPoorlyError} when the backend lacks one of the characteristics
 * @throws {TypeError} when they are no list
 */
export function demand(opener: Opener, wanted: Iterable<Characteristic> = []): void {
  if (typeof wanted === "string" || typeof wanted?.[Symbol.iterator] !== "function") {
    throw new TypeError(`Cannot use characteristics ${JSON.stringify(wanted)}: want a list such as ["FAIR"]`);
  }
  const missing = [...wanted].filter((characteristic) => !opener.characteristics.has(characteristic));
  if (missing.length === 0) return;
  throw new DriverChosenPoorlyError(`Cannot use driver "${opener.driver}": it lacks ${missing.join(", ")}`, {
    driver: opener.driver,
  });
}
