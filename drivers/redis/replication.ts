import { ACQUIRE } from "./lock_scripts.ts";
import type { Script } from "./script.ts";
import { BEAT, OPEN } from "./session_scripts.ts";

/** How many replicas must have what a session relies on. */
export interface Replication {
  readonly count: number;
  /** How long they are waited for, in ms. */
  readonly limit: number;
}

/** Not enough replicas have confirmed a write in time. */
export class Unconfirmed extends Error {}

/** Whether an answer promises something that must not be forgotten: a grant, or a session that lives on. */
export function isPromise(script: Script, answer: unknown): boolean {
  if (script === ACQUIRE) return String(answer).startsWith("granted ");
  return script === BEAT || script === OPEN;
}
