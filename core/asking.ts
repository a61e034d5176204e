import { ConnectionError, SessionLostError } from "./errors.ts";
import type { Host } from "./host.ts";
import type { Tenure } from "./tenure.ts";

/**
 * Makes a call of which nothing is left when its session is lost: then it is made again on the next one, within one
 * deadline for all.
 * @throws {ConnectionError} when there is no session that lives for long enough
 */
export async function ask<T>(host: Host, call: (tenure: Tenure) => Promise<T>): Promise<T> {
  const until = host.clock.now() + host.timeout;
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

/**
 * Makes a call that may have been carried out although its session was lost.
 * @throws {ConnectionError} when that is unknown
 */
export async function order<T>(host: Host, call: (tenure: Tenure) => Promise<T>): Promise<T> {
  try {
    return await call(await host.tenure());
  } catch (error) {
    if (!(error instanceof SessionLostError)) throw error;
    host.closing.throwIfAborted();
    throw cut(host, error);
  }
}

function cut({ driver }: Host, cause: SessionLostError): ConnectionError {
  return new ConnectionError("Cannot know the outcome: the session was lost on the way", { driver, cause });
}
