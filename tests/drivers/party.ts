import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LateError } from "../late.ts";
import type { Attempt, Backend, Entry, Grant, Kind, Opener, OpenOptions, Session } from "../../driver.ts";
import type { Runtime } from "../processes/runtimes.ts";
import { spawnWorker, type Worker } from "../processes/spawn.ts";

export const NEVER = new AbortController().signal;

/** The namespace of the tests of drivers. */
export const NAMESPACE = "test";

/** A session, with shorter ways to take a lock. */
export interface Party extends Session {
  take(name: string, options?: Partial<Attempt>): Promise<Grant>;
  ask(name: string, options?: Partial<Attempt>): Promise<Grant | undefined>;
  entries(name: string, kind?: Kind): Promise<Entry[]>;
}

/** Opens a session on a backend. */
export async function openOn(
  backend: Backend,
  memberId: string,
  options: Partial<OpenOptions> = {},
): Promise<Party> {
  const session = await (backend as Opener).open({ // To those who know.
    memberId,
    incarnation: crypto.randomUUID(),
    namespace: NAMESPACE,
    ttl: 30_000,
    timeout: 5000,
    signal: NEVER,
    longest: 10_000,
    note: () => {},
    ...options,
  });
  return Object.assign(session, {
    ask: (name: string, more: Partial<Attempt> = {}) => session.locks.acquire(attempt(name, more)),
    entries: (name: string, kind: Kind = "lock") => session.locks.entries({ kind, name }),
    take: async (name: string, more: Partial<Attempt> = {}) => {
      const grant = await session.locks.acquire(attempt(name, more));
      assert.ok(grant, `lock "${name}" was busy`);
      return grant;
    },
  });
}

function attempt(name: string, more: Partial<Attempt>): Attempt {
  const id = crypto.randomUUID();
  return { id, kind: "lock", name, mode: "exclusive", wait: true, value: "", signal: NEVER, ...more };
}

/** Sessions and processes in one directory of files, which end with the test. */
export abstract class PartyWorld implements AsyncDisposable {
  abstract readonly url: string;
  abstract readonly namespace: string;
  /** The directory of the namespace. */
  abstract readonly root: string;
  readonly #ends: (() => unknown)[] = [];

  /** What the URL means. */
  protected abstract backend(): Backend;

  /** Removes what is left. */
  protected abstract clear(): void;

  async open(memberId: string, options: Partial<OpenOptions> = {}): Promise<Party> {
    const party = await openOn(this.backend(), memberId, { namespace: this.namespace, ...options });
    this.defer(() => party.close());
    return party;
  }

  /** Another process with a session; see `party_worker.ts`. */
  async worker(runtime: Runtime, memberId: string = runtime): Promise<Worker> {
    const worker = await this.spawn(runtime);
    await worker.call("open", this.url, memberId, this.namespace);
    return worker;
  }

  /** The same without the session; `below` is the program, with its arguments, that starts it. */
  async spawn(runtime: Runtime, below: readonly string[] = []): Promise<Worker> {
    const worker = await spawnWorker(runtime, new URL("party_worker.ts", import.meta.url), { below });
    this.defer(() => {
      worker.kill();
      return worker.exited;
    });
    return worker;
  }

  /** The file of a lock of a plain name. */
  path(name: string): string {
    return join(this.root, "l", name, "lock");
  }

  /** Waits until so many wait for a lock. */
  async queued(name: string, count: number): Promise<void> {
    const queue = join(this.root, "l", name, "q");
    const length = () => fs.existsSync(queue) ? fs.readdirSync(queue).length : 0;
    await eventually(() => length() === count, `${count} wait`);
  }

  defer(end: () => unknown): void {
    this.#ends.push(end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
    this.clear();
  }
}

/** Resolves as soon as the condition holds; fails when that takes long. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: string,
  ms = 15_000,
): Promise<void> {
  const deadline = performance.now() + ms;
  while (!await condition()) {
    if (performance.now() > deadline) throw new LateError(`Not within ${ms} ms: ${what}`);
    await sleep(2);
  }
}

/** The reason of a signal, once it has fired. */
export async function lost(signal: Pick<AbortSignal, "aborted" | "reason">, ms = 15_000): Promise<Error> {
  await eventually(() => signal.aborted, "the loss is signalled", ms);
  return signal.reason as Error; // Drivers fire with errors only.
}
