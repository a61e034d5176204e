import { CapacityError, ConnectionError, type CoordError } from "../../core/errors.ts";
import { reasonOf } from "../reason.ts";
import { Interrupted } from "./store.ts";

/** Says that a connection could not be opened: because the server has no room for it, or for any other reason. */
export function failed(action: string, driver: string, cause: unknown): CoordError {
  const Failure = cause instanceof CapacityError ? CapacityError : ConnectionError;
  return new Failure(`Cannot ${action}: ${reasonOf(cause)}`, {
    driver,
    cause: cause instanceof Interrupted || cause instanceof CapacityError ? cause.cause ?? cause : cause,
  });
}
