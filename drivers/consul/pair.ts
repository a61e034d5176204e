import { Buffer } from "node:buffer";

/** A key with its value. */
export interface Pair {
  readonly key: string;
  readonly value: string;
  /** Who has locked it; empty: nobody. */
  readonly session: string;
  /** How often it was locked, by whomever. */
  readonly locked: number;
  /** Where in the history the key was made. */
  readonly created: bigint;
  /** Where in the history it was last changed. */
  readonly modified: string;
}

/** Reads a key as the server writes it. */
export function readPair(pair: unknown): Pair {
  const value = field(pair, "Value");
  return {
    key: String(field(pair, "Key")),
    value: typeof value === "string" ? Buffer.from(value, "base64").toString() : "",
    session: String(field(pair, "Session") ?? ""),
    locked: Number(field(pair, "LockIndex") ?? 0),
    created: BigInt(Number(field(pair, "CreateIndex"))),
    modified: String(field(pair, "ModifyIndex")),
  };
}

/** A value as the server wants it. */
export function encodeValue(value: string): string {
  return Buffer.from(value).toString("base64");
}

/** A field of something that may be an object. */
export function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Record<string, unknown>)[name]; // Any object can be asked for any name.
}

/** The items of something that may be a list. */
export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
