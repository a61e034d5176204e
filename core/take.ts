import type { Entry, Target } from "../driver.ts";
import { bounded, either } from "./abort.ts";
import { ask } from "./asking.ts";
import { AcquireTimeoutError, ConnectionError } from "./errors.ts";
import { NOWHERE, type Place } from "./gate.ts";
import type { Hold } from "./hold.ts";
import type { Host } from "./host.ts";
import type { Tenure } from "./tenure.ts";
import type { Entrant } from "./turn.ts";

/** How long a caller who gives up waits, in ms, for the backend to forget the attempt; then that goes on behind. */
const PATIENCE = 500;

/** What ends a wait. */
export interface Patience {
  readonly signal: AbortSignal | undefined;
  /** Ms; undefined: for ever. */
  readonly timeout: number | undefined;
}

/** Takes a lock of either kind; undefined only if `entrant.wait` is false and it is busy. */
export function take(
  host: Host,
  target: Target,
  entrant: Entrant,
  patience: Patience,
): Promise<Hold | undefined> {
  if (!entrant.wait) return tryNow(host, target, entrant, patience);
  if (patience.signal !== undefined || patience.timeout !== undefined) {
    return takeSoon(host, target, entrant, patience);
  }
  const { present } = host;
  if (present) return present.gates.enter(target, entrant).hold;
  return host.tenure().then(({ gates }) => gates.enter(target, entrant).hold);
}

/** A try that was cut short by the loss of its session has left nothing; one that had no answer in time is given up. */
async function tryNow(
  host: Host,
  target: Target,
  entrant: Entrant,
  { signal }: Patience,
): Promise<Hold | undefined> {
  signal?.throwIfAborted();
  let place = NOWHERE;
  let isOver = false;
  const leave = () => {
    isOver = true;
    return place.leave(signal?.reason).catch(() => {});
  };
  const enter = ({ gates }: Tenure) => {
    if (!isOver) place = gates.enter(target, entrant);
    return place.hold;
  };
  const trying = ask(host, enter, leave);
  try {
    return await (signal ? either(trying, signal) : trying);
  } catch (error) {
    if (signal?.aborted) await bounded(host.clock, leave(), PATIENCE);
    throw error;
  }
}

async function takeSoon(
  host: Host,
  target: Target,
  entrant: Entrant,
  patience: Patience,
): Promise<Hold | undefined> {
  patience.signal?.throwIfAborted();
  const giveUp = new AbortController();
  const abort = () => giveUp.abort(patience.signal?.reason);
  patience.signal?.addEventListener("abort", abort, { once: true });
  const late = new AcquireTimeoutError(
    `Cannot acquire ${target.kind} "${target.name}" within ${patience.timeout} ms`,
    { driver: host.driver },
  );
  const stop = patience.timeout === undefined
    ? undefined
    : host.clock.after(patience.timeout, () => giveUp.abort(late));
  let place: Place | undefined;
  try {
    const tenure = await either(host.tenure(), giveUp.signal);
    place = tenure.gates.enter(target, entrant);
    return await either(place.hold, giveUp.signal);
  } catch (error) {
    if (!giveUp.signal.aborted) throw error;
    const gone = bounded(host.clock, place?.leave(error) ?? Promise.resolve(), PATIENCE);
    const told = error === late ? await explain(host, target, late) : error;
    await gone;
    throw told;
  } finally {
    stop?.();
    patience.signal?.removeEventListener("abort", abort);
  }
}

/**
 * Says who holds what was not granted in time, or that nobody can know.
 * @throws {ClosedError} when the coordinator is closed meanwhile
 */
export async function explain(
  host: Host,
  target: Target,
  late: AcquireTimeoutError,
  until: number = host.clock.now() + host.timeout,
): Promise<AcquireTimeoutError | ConnectionError> {
  try {
    if (host.state !== "connected") {
      throw new ConnectionError("the connection is away", { driver: host.driver });
    }
    const tenure = await host.tenure(until);
    const entries = await host.inTime(tenure.session.locks.entries(target), until);
    const isOurs = ({ memberId, token }: Entry) =>
      memberId === host.memberId && tenure.gates.holds(target, token);
    return new AcquireTimeoutError(`${late.message}: ${describe(entries, isOurs)}`, { driver: host.driver });
  } catch (cause) {
    if (host.closing.aborted) throw host.closing.reason;
    return new ConnectionError(`${late.message}: the backend cannot be reached`, {
      driver: host.driver,
      cause,
    });
  }
}

function describe(entries: readonly Entry[], isOurs: (entry: Entry) => boolean): string {
  const holders = entries.filter((entry) => entry.token !== undefined);
  const first = holders[0];
  if (!first) return "nobody holds it now";
  const others = holders.length > 1 ? ` and ${holders.length - 1} more` : "";
  // Another process may have our member id, or have had it.
  const own = isOurs(first) ? " (this coordinator: locks are not re-entrant)" : "";
  return `held by "${first.memberId}"${own}${others}`;
}
