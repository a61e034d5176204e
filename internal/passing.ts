import { CapacityError, ConnectionError } from "../core/errors.ts";

/** Whether what failed may go well another time: the backend was away, or had no room. */
export function isPassing(error: unknown): boolean {
  return error instanceof ConnectionError || error instanceof CapacityError;
}
