import { SerializationError } from "./errors.ts";

/** Deeper values would overflow the stack of whoever reads them. */
const DEEPEST = 1000;

/**
 * Capabilities as JSON text.
 * @throws {SerializationError} when what comes back would differ from what was given
 */
export function encode(value: unknown, driver: string): string {
  const flaw = findFlaw(value, "capabilities", new Set());
  if (flaw !== undefined) throw new SerializationError(`Cannot store capabilities: ${flaw}`, { driver });
  return JSON.stringify(value);
}

/**
 * Capabilities from JSON text.
 * @throws {SerializationError} when somebody stored something else
 */
export function decode(text: string, { member, driver }: { member: string; driver: string }): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SerializationError(`Cannot read capabilities of member "${member}": they are not JSON`, {
      driver,
      cause,
    });
  }
}

function findFlaw(value: unknown, path: string, above: Set<object>): string | undefined {
  if (value === null || typeof value === "string" || typeof value === "boolean") return undefined;
  if (typeof value === "number") {
    return Number.isFinite(value) && !Object.is(value, -0)
      ? undefined
      : `${path} is ${Object.is(value, -0) ? "-0" : value}`;
  }
  if (typeof value !== "object") {
    return `${path} is ${typeof value === "undefined" ? "undefined" : `a ${typeof value}`}`;
  }
  if (above.size >= DEEPEST) return `it is nested more than ${DEEPEST} levels deep`;
  if (above.has(value)) return `${path} contains itself`;
  above.add(value);
  const flaw = Array.isArray(value) ? flawOfArray(value, path, above) : flawOfObject(value, path, above);
  above.delete(value);
  return flaw;
}

function flawOfArray(array: readonly unknown[], path: string, above: Set<object>): string | undefined {
  if (Object.keys(array).length !== array.length) {
    return `${path} is an array with holes or properties of its own`;
  }
  for (const [i, item] of array.entries()) {
    const flaw = findFlaw(item, `${path}[${i}]`, above);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}

function flawOfObject(object: object, path: string, above: Set<object>): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== null && prototype !== Object.prototype) return `${path} is not a plain object`;
  if (Object.getOwnPropertySymbols(object).length > 0) return `${path} has symbols as keys`;
  for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(object))) {
    const where = `${path}.${key}`;
    if (!descriptor.enumerable || !("value" in descriptor)) return `${where} is not a plain property`;
    if (key === "toJSON" && typeof descriptor.value === "function") {
      return `${path} has a toJSON() of its own`;
    }
    const flaw = findFlaw(descriptor.value, where, above);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}
