import { CapacityError, ConnectionError, type CoordError } from "../../core/errors.ts";
import { reasonOf } from "../reason.ts";

/**
 * Says that a connection could not be opened: because the server has no room for it, or for any other reason.
 * @param why what it failed with
 * @param cause what becomes the cause of the error
 */
export function failed(action: string, driver: string, why: unknown, cause: unknown = why): CoordError {
  const Failure = why instanceof CapacityError ? CapacityError : ConnectionError;
  return new Failure(`Cannot ${action}: ${reasonOf(why)}`, { driver, cause });
}
