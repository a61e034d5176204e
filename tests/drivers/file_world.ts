import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Attempt, Entry, Grant, Kind, Opener, OpenOptions, Session } from "../../driver.ts";
import { file, type FileOptions } from "../../drivers/file.ts";
import type { Runtime } from "../processes/runtimes.ts";
import { spawnWorker, type Worker } from "../processes/spawn.ts";

export const NEVER = new AbortController().signal;

/** A session, with shorter ways to take a lock. */
export interface Party extends Session {
  take(name: string, options?: Partial<Attempt>): Promise<Grant>;
  ask(name: string, options?: Partial<Attempt>): Promise<Grant | undefined>;
  entries(name: string, kind?: Kind): Promise<Entry[]>;
}

/** Opens a session on a directory. */
export async function openParty(
  url: string | undefined,
  memberId: string,
  options: Partial<OpenOptions> & FileOptions = {},
): Promise<Party> {
  const { allowNetwork, ...rest } = options;
  const opener = file(url, allowNetwork === undefined ? {} : { allowNetwork }) as Opener; // To those who know.
  const session = await opener.open({
    memberId,
    incarnation: crypto.randomUUID(),
    namespace: "test",
    ttl: 30_000,
    timeout: 5000,
    signal: NEVER,
    note: () => {},
    ...rest,
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

/** A directory of its own, with sessions and processes on it. */
export class World implements AsyncDisposable {
  readonly directory: string = fs.mkdtempSync(join(tmpdir(), "coord-file-"));
  readonly url: string = `file://${this.directory}`;
  readonly #ends: (() => unknown)[] = [];

  async open(memberId: string, options: Partial<OpenOptions> & FileOptions = {}): Promise<Party> {
    const party = await openParty(this.url, memberId, options);
    this.#ends.push(() => party.close());
    return party;
  }

  /** Another process with a session; see `file_worker.ts`. */
  async worker(runtime: Runtime, memberId: string = runtime): Promise<Worker> {
    const worker = await spawnWorker(runtime, new URL("file_worker.ts", import.meta.url));
    this.#ends.push(() => {
      worker.kill();
      return worker.exited;
    });
    await worker.call("open", this.url, memberId);
    return worker;
  }

  /** The stable path of a lock of a plain name. */
  path(name: string): string {
    return join(this.directory, "test", "l", name, "lock");
  }

  /** Waits until so many wait for a lock. */
  async queued(name: string, count: number): Promise<void> {
    const queue = join(this.directory, "test", "l", name, "q");
    await eventually(() => fs.existsSync(queue) && fs.readdirSync(queue).length === count, `${count} wait`);
  }

  /** What waits, holds or lives here still, which must be nothing once all is closed. */
  leftovers(): string[] {
    const files = fs.readdirSync(this.directory, { recursive: true }).map(String);
    return files.filter((path) => /^[^/]+\/s\/.|\/[qhm]\/./.test(path));
  }

  defer(end: () => unknown): void {
    this.#ends.push(end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
    fs.rmSync(this.directory, { recursive: true, force: true });
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
    assert.ok(performance.now() < deadline, `not within ${ms} ms: ${what}`);
    await sleep(2);
  }
}

/** The reason of a signal, once it has fired. */
export async function lost(signal: AbortSignal, ms = 15_000): Promise<Error> {
  await eventually(() => signal.aborted, "the loss is signalled", ms);
  return signal.reason as Error; // Drivers fire with errors only.
}
