import type { Clock } from "../../driver.ts";
import type { Platform } from "../../internal/platform/flock.ts";
import type { Reason } from "./bell.ts";
import type { Layout } from "./directory.ts";

/** What the parts of a session share. */
export interface Context {
  readonly platform: Platform;
  readonly clock: Clock;
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
  ring(sid: string, message: { reason: Reason; key: string }): void;
}
