const MAX_BYTES = 1024;
const encoder = new TextEncoder();

/**
 * Checks a name or id that goes to a backend.
 * @throws {TypeError} when it is not a well-formed string of 1 to 1,024 UTF-8 bytes without NUL
 */
export function checkName(what: string, name: unknown): string {
  if (typeof name !== "string") throw new TypeError(`Cannot use ${what}: want a string, got ${typeof name}`);
  if (name === "") throw new TypeError(`Cannot use ${what}: it is empty`);
  if (name.includes("\0")) throw new TypeError(`Cannot use ${what}: it has a NUL character`);
  if (!name.isWellFormed()) throw new TypeError(`Cannot use ${what}: it has half of a surrogate pair`);
  const bytes = name.length > MAX_BYTES ? name.length : encoder.encode(name).length;
  if (bytes > MAX_BYTES) {
    throw new TypeError(`Cannot use ${what}: want at most ${MAX_BYTES} UTF-8 bytes, got ${bytes}`);
  }
  return name;
}

/**
 * Checks a duration.
 * @throws {TypeError | RangeError} when it is not a finite number from `least`
 */
export function checkDuration(what: string, ms: unknown, least = 0): number {
  if (typeof ms !== "number") throw new TypeError(`Cannot use ${what}: want milliseconds, got ${typeof ms}`);
  if (!Number.isFinite(ms) || ms < least) {
    throw new RangeError(`Cannot use ${what}: want finite milliseconds from ${least}, got ${ms}`);
  }
  return ms;
}

/** Checks a lock mode. */
export function checkMode(mode: unknown): "exclusive" | "shared" {
  if (mode === undefined) return "exclusive";
  if (mode === "exclusive" || mode === "shared") return mode;
  throw new TypeError(`Cannot use mode ${JSON.stringify(mode)}: want "exclusive" or "shared"`);
}
