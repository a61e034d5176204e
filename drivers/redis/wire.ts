import type { Clock } from "../../driver.ts";
import type { Script } from "./script.ts";

/** What a wire is made with. */
export interface WireOptions {
  readonly clock: Clock;
  /** The deadline of one call, in ms. */
  readonly timeout: number;
  /** The channel that is listened to all the time. */
  readonly channel: string;
  message(text: string): void;
  suspended(): void;
  /** There is a new way to some keys; `whole`: and none to any is missing. */
  restored(whole: boolean): void;
}

/** Who calls, where it matters what became of earlier tries. */
export interface Caller {
  /** The deadline of this call in ms, where it is not the usual one. */
  readonly budget?: number;
  /** Whether the call is no longer wanted. */
  stopped?(): boolean;
  /** The request is sent again, since it is unknown whether it was carried out. */
  repeated?(): void;
}

/** The way to where the keys are: to one server after the other, or to many at a time. */
export interface Wire {
  /** The deadline of one call, in ms. */
  readonly timeout: number;
  /** Connects for the first time; rejects with `ConnectionError` at once when that is refused. */
  start(): Promise<void>;
  /** Whether a call with this key would be sent at once. */
  isUp(key: string): boolean;
  /** Runs a script until it is answered, at most for the time-out. */
  call(script: Script, key: string, args: readonly string[], caller?: Caller): Promise<unknown>;
  /** Calls `wake` after every message of the channel; `subscribed()` tells from when on. */
  listen(channel: string, wake: () => void): () => void;
  /** Settles once the messages of a channel that is listened to will come. */
  subscribed(channel: string): Promise<void>;
  /** All keys that match a pattern. */
  scan(pattern: string): Promise<string[]>;
  /** Finds out whether it still leads to who serves; if not, another way is taken. */
  confirm(): Promise<void>;
  /** Disconnects for good: all calls, now and later, reject with this error. */
  end(error: Error): void;
}

/** Where a backend is. */
export interface Site {
  /** Whether keys of different tags may be on different servers. */
  readonly spread: boolean;
  connect(options: WireOptions): Wire;
}
