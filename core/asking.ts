import { ConnectionError, SessionLostError } from "./errors.ts";
import type { Host } from "./host.ts";
import type { Tenure } from "./tenure.ts";

/** A call on whatever session there is. */
export type Call<T> = (tenure: Tenure) => Promise<T>;

/**
 * Makes a call of which nothing is left when its session is lost, within the deadline of one operation.
 * @param gaveUp called when there was none, so that what comes of the call can be undone
 * @throws {ConnectionError} when there is no session that lives for long enough, or no answer
 */
export function ask<T>(host: Host, call: Call<T>, gaveUp?: () => void): Promise<T> {
  const until = host.clock.now() + host.timeout;
  return host.inTime(askUntil(host, call, until), until, gaveUp);
}

/**
 * Makes a call that may have been carried out although its session was lost, within the deadline of one operation.
 * @throws {ConnectionError} when that is unknown
 */
export function order<T>(host: Host, call: Call<T>): Promise<T> {
  const until = host.clock.now() + host.timeout;
  return host.inTime(orderUntil(host, call, until), until);
}

/** As `ask`, of one who sees to the deadline himself: a call whose session was lost is made again on the next one. */
export async function askUntil<T>(host: Host, call: Call<T>, until: number): Promise<T> {
  for (;;) {
    const tenure = await host.tenure(until);
    try {
      return await call(tenure);
    } catch (error) {
      if (!(error instanceof SessionLostError && tenure.signal.aborted)) throw error;
      host.closing.throwIfAborted();
      if (host.clock.now() >= until) throw cut(host, error);
    }
  }
}

/** As `order`, of one who sees to the deadline himself. */
export async function orderUntil<T>(host: Host, call: Call<T>, until: number): Promise<T> {
  try {
    return await call(await host.tenure(until));
  } catch (error) {
    if (!(error instanceof SessionLostError)) throw error;
    host.closing.throwIfAborted();
    throw cut(host, error);
  }
}

function cut({ driver }: Host, cause: SessionLostError): ConnectionError {
  return new ConnectionError("Cannot know the outcome: the session was lost on the way", { driver, cause });
}
