import * as fs from "node:fs";
import process from "node:process";
import type { Clock } from "../../driver.ts";

/** How often to look where the system has no watch left to give, in ms. */
const POLL = 20;

/** Bun drops an event that comes within about 3 ms of one like it: look again so long after each, in ms. */
const ECHOES: readonly number[] = process.versions["bun"] ? [1, 2, 4, 6] : [];

/**
 * Calls `fn` after every change of a file or directory; spurious calls are many. Where the system refuses a watch
 * (inotify has limits for each user), it is called every 10 to 30 ms instead. Returns what ends it.
 */
export function subscribe(path: string, clock: Clock, fn: () => void): () => void {
  const timer = new Timer(clock);
  const poll = () =>
    timer.start(POLL / 2 + Math.random() * POLL, () => {
      poll();
      fn();
    });
  let watcher: fs.FSWatcher | undefined;
  try {
    watcher = fs.watch(path, () => {
      fn();
      echo(timer, fn);
    });
    // An error event without a listener would end the process.
    watcher.on("error", () => {
      watcher?.close();
      poll();
    });
  } catch {
    // No watch left, or no such path: the poll serves both.
    poll();
  }
  return () => {
    timer.end();
    watcher?.close();
  };
}

function echo(timer: Timer, fn: () => void, at = 0): void {
  const next = ECHOES[at];
  if (next === undefined) return;
  timer.start(next - (ECHOES[at - 1] ?? 0), () => {
    echo(timer, fn, at + 1);
    fn();
  });
}

/** One timer, which starting anew replaces. */
class Timer {
  readonly #clock: Clock;
  #cancel: (() => void) | undefined;
  #ended = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(ms: number, fn: () => void): void {
    this.#cancel?.();
    if (!this.#ended) this.#cancel = this.#clock.after(ms, fn);
  }

  end(): void {
    this.#ended = true;
    this.#cancel?.();
  }
}
