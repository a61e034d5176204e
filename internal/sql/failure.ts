import { CapacityError, ConnectionError } from "../../core/errors.ts";
import { Full } from "./store.ts";

/** What a caller is told of a request that has failed: where the server has no room, that is an error of its own. */
export function failureOf(
  cause: unknown,
  { message, driver }: { readonly message: string; readonly driver: string },
): CapacityError | ConnectionError {
  if (cause instanceof Full) return new CapacityError(message, { driver, cause: cause.cause });
  return new ConnectionError(message, { driver, cause });
}
