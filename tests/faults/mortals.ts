import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import type { DriverFactory } from "../../driver.ts";
import { ipc } from "../../drivers/ipc.ts";
import { DATABASES } from "./databases.ts";

/** Where locks are that end with the process of their holder. */
interface Place extends AsyncDisposable {
  readonly url: string;
  /** Fails where more is left of those who were killed than there should be. */
  check?(namespace: string): void;
  /** Fails where anything is left though all have ended, but for the semaphores of so many that were killed. */
  checkEnd?(namespace: string, killed: number): void;
}

/** A backend of which a killed process loses all at once. */
export interface Mortal {
  readonly factory: DriverFactory;
  readonly start: () => Promise<Place>;
  readonly kills: number;
  /** From a kill to the grant to the next, in ms: what is promised of it. */
  readonly limit: number;
}

/** How many live while there is no victim: three wait, one observes. */
const LIVING = 4;

const SHM = "/dev/shm";

class SharedMemory implements Place {
  readonly url = "ipc:";
  readonly #bells = new Set<string>();

  check(namespace: string): void {
    const sessions = readdirSync(`${SHM}/tooz-coord-${namespace}/s`);
    const present = new Set(sessions.map((session) => `sem.tooz-coord-${session.slice(0, 12)}`));
    for (const bell of present) this.#bells.add(bell);
    assert.ok(
      sessions.length <= LIVING + 1 && this.#left().length <= LIVING + 1,
      `${sessions.length} sessions, ${this.#left().length} semaphores`,
    );
  }

  checkEnd(namespace: string, killed: number): void {
    assert.deepEqual(readdirSync(SHM).filter((name) => name.includes(namespace)), []);
    assert.ok(this.#left().length <= killed, `${this.#left()} left`);
  }

  /** The semaphores of all that were seen which are there. */
  #left(): string[] {
    return readdirSync(SHM).filter((name) => this.#bells.has(name));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** By the name of the backend in the conformance suite. */
export const MORTALS: Readonly<Record<string, Mortal>> = {
  ...Object.fromEntries(
    Object.entries(DATABASES).map(([name, { factory, server }]) => [
      name,
      { factory, start: server, kills: 51, limit: 250 },
    ]),
  ),
  ipc: { factory: ipc, start: () => Promise.resolve(new SharedMemory()), kills: 201, limit: 100 },
};
