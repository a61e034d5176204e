import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Target } from "../../driver.ts";

/** The numbers that stand for a lock or an election; big ones as text, since the client has no type for them. */
export interface LockKeys {
  /** Of the hold, as long as the lock was never broken. */
  readonly lock: string;
  /** Of the turnstile. */
  readonly gate: string;
  /** Marks what says of whom, and with which token, the hold is. */
  readonly tag: number;
}

/** The bytes of a text, since a database may have another encoding than ours. */
export function bytes(text: string): Buffer {
  return Buffer.from(text, "utf8");
}

/** Tells namespaces apart. */
export function spaceOf(namespace: string): Buffer {
  return createHash("sha256").update(namespace, "utf8").digest().subarray(0, 16);
}

/** One hash for all numbers of a lock: with 64 bits each, two names practically never meet. */
export function keysOf(namespace: string, { kind, name }: Target): LockKeys {
  const hash = createHash("sha256").update(`${kind}\0${namespace}\0${name}`, "utf8").digest();
  return {
    lock: String(hash.readBigInt64BE(0)),
    gate: String(hash.readBigInt64BE(8)),
    tag: hash.readInt32BE(16),
  };
}
