import type { Clock } from "../../driver.ts";
import type { LockFile, Platform } from "../platform/flock.ts";
import type { Reason } from "./bell.ts";
import type { Disk } from "./disk.ts";
import type { Failures } from "./failure.ts";
import type { Layout } from "./layout.ts";

/** Something that can be watched: a directory, and the word that names it among sessions. */
export interface Watched {
  readonly path: string;
  readonly key: string;
}

/** How a driver reaches the sessions of others. */
export interface Wires {
  /** Rings a session; what cannot be rung finds out by itself. */
  ring(sid: string, message: { reason: Reason; key: string }): void;
  /** A name for a new session: 24 hexadecimal digits, never used before. */
  newSid(): string;
  /** Calls `fn` when the session with this file was rung, or may have been. Returns what ends it. */
  listen(path: string, fn: () => void): () => void;
  /** Calls `fn` after every change of what is watched; spurious calls may be many. Returns what ends it. */
  watch(sid: string, watched: Watched, fn: () => void): () => void;
  /** Tells those who watch it that something has changed. */
  changed(key: string): void;
  /** Passes a ring on to those of this session who watch that key, or all. */
  hear(key: string | undefined): void;
  /** A file that was removed, without which the session cannot be rung. */
  missing(): string | undefined;
  /** The session has ended; `epoch` is unlocked and closed next. */
  leave(epoch: LockFile): void | Promise<void>;
}

/** What the parts of a session share. */
export interface Context {
  readonly platform: Platform;
  readonly disk: Disk;
  readonly wires: Wires;
  readonly failures: Failures;
  readonly clock: Clock;
  /** Ms since 1970, as finely as the system tells: tokens begin there. */
  readonly fineTime: () => number;
  readonly layout: Layout;
  /** How long one operation may take, in ms. */
  readonly timeout: number;
  readonly memberId: string;
  readonly incarnation: string;
  /** Names the session's file; never used again. */
  readonly sid: string;
  readonly epoch: string;
  /** Fires with a `SessionLostError` when the session is lost or closed. */
  readonly ended: AbortSignal;
  /** A word that this session has not used yet. */
  unique(): string;
  /** Looks whether the session's file is still there; ends the session if not. */
  verify(): void;
  isAlive(sid: string): boolean;
}
