/**
 * Something did not happen before its deadline. On a slow machine that shows little, so such a test is played once
 * more; any other failure is final.
 */
export class LateError extends Error {
  /** Tells it from others in reports and in other processes, as the codes of the library's errors do. */
  readonly code = "LATE";
  override readonly name = "LateError";
}
