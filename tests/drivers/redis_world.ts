import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { LateError } from "../late.ts";
import type { Attempt, Grant, Opener, OpenOptions, Session } from "../../driver.ts";
import { redis } from "../../drivers/redis.ts";
import type { RedisSession } from "../../drivers/redis/session.ts";
import { type Proxy, startProxy } from "../servers/proxy.ts";
import { type RedisServerOptions, startRedis } from "../servers/redis.ts";
import type { Server } from "../servers/server.ts";

export const NEVER = new AbortController().signal;

/** A session, with what it was told and a way to let its process die. */
export interface Party extends Session {
  readonly notes: string[];
  /** Leaves the server without a word, as a killed process does. */
  die(): void;
  take(name: string, options?: Partial<Attempt>): Promise<Grant>;
  ask(name: string, options?: Partial<Attempt>): Promise<Grant | undefined>;
}

/** A Redis server, a client that looks at it, and sessions on it. */
export class World implements AsyncDisposable {
  readonly server: Server;
  readonly client: Redis;
  readonly #parties: Party[] = [];
  readonly #proxies: Proxy[] = [];

  constructor(server: Server) {
    this.server = server;
    this.client = new Redis(server.url, { retryStrategy: () => 20 });
    // The server is killed on purpose.
    this.client.on("error", () => {});
  }

  async open(memberId: string, options: Partial<OpenOptions> & { url?: string } = {}): Promise<Party> {
    const { url = this.server.url, ...rest } = options;
    const notes: string[] = [];
    const opener = redis(url) as Opener; // What the factory makes is an opener to those who know.
    const session = await opener.open({
      memberId,
      incarnation: crypto.randomUUID(),
      namespace: "test",
      ttl: 2000,
      timeout: 1000,
      signal: NEVER,
      longest: 10_000,
      note: (note) => notes.push(note),
      ...rest,
    });
    const inner = session as RedisSession; // For its connection, to cut it.
    const party: Party = Object.assign(session, {
      notes,
      die: () => inner.connection.end(new Error("the process died")),
      ask: (name: string, more: Partial<Attempt> = {}) => session.locks.acquire(attempt(name, more)),
      take: async (name: string, more: Partial<Attempt> = {}) => {
        const grant = await session.locks.acquire(attempt(name, more));
        assert.ok(grant, `lock "${name}" was busy`);
        return grant;
      },
    });
    this.#parties.push(party);
    return party;
  }

  /** A proxy before the server, and the URL through it. */
  async proxied(): Promise<{ proxy: Proxy; url: string }> {
    const proxy = await startProxy(this.server.port);
    this.#proxies.push(proxy);
    return { proxy, url: this.server.urlAt(proxy.port) };
  }

  /** The keys that are left, without those that remember a token, an answer or a doubt, all of which must expire. */
  async leftovers(): Promise<string[]> {
    const left: string[] = [];
    for (const key of await this.client.keys("*")) {
      if (await this.client.pttl(key) < 0) left.push(`${key} for ever`);
      else if (key.includes(":o:") || key.includes(":w:") || key.endsWith(":a")) continue;
      else if (!key.endsWith(":x") || !/^\d+ .$/.test(await this.client.get(key) ?? "")) left.push(key);
    }
    return left;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#parties.map((party) => party.close()));
    this.client.disconnect();
    await Promise.all(this.#proxies.map((proxy) => proxy.stop()));
    await this.server.stop();
  }
}

export async function startWorld(options?: RedisServerOptions): Promise<World> {
  return new World(await startRedis(options));
}

let attempts = 0;

export function attempt(name: string, options: Partial<Attempt> = {}): Attempt {
  return {
    kind: "lock",
    name,
    id: `attempt-${++attempts}-${crypto.randomUUID()}`,
    mode: "exclusive",
    wait: true,
    value: "",
    signal: NEVER,
    ...options,
  };
}

/** Waits until something holds. */
export async function until(holds: () => boolean | Promise<boolean>, what: string, ms = 5000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!await holds()) {
    if (performance.now() > deadline) throw new LateError(`Not within ${ms} ms: ${what}`);
    await sleep(2);
  }
}

/** The reason that a signal fires with, within a time. */
export async function fired(signal: Pick<AbortSignal, "aborted" | "reason">, ms = 5000): Promise<unknown> {
  await until(() => signal.aborted, "the signal fires", ms);
  return signal.reason;
}

/** Keeps sessions alive until it is disposed. */
export function beating(parties: readonly Session[], ms = 100): Disposable {
  const timer = setInterval(() => {
    for (const party of parties) party.beat().catch(() => {}); // Faults are made on purpose.
  }, ms);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
