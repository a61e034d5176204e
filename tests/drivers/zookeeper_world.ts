import { setTimeout as sleep } from "node:timers/promises";
import { type Client, createClient, type Stat } from "node-zookeeper-client";
import { LateError } from "../late.ts";
import { ZookeeperStore } from "../../drivers/zookeeper/store.ts";
import { systemClock } from "../../internal/clock.ts";
import type { NewEntry, StoreOptions } from "../../internal/tree/store.ts";
import { ask } from "../servers/probe.ts";
import { type Proxy, startProxy } from "../servers/proxy.ts";
import type { ServerProcess } from "../servers/server.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";
import { NOBODY } from "./nobody.ts";

export const NEVER = new AbortController().signal;

/** A session, with what it was told. */
export interface Party extends ZookeeperStore {
  readonly broken: unknown[];
}

export interface PartyOptions extends Partial<StoreOptions> {
  readonly ports: readonly number[];
  readonly chroot?: string;
}

/** Opens a session, which its user has to end. */
export function openStore({ ports, chroot = "", ...options }: PartyOptions): Promise<ZookeeperStore> {
  const servers = ports.map((port) => ({ host: "127.0.0.1", port }));
  return ZookeeperStore.open({ servers, chroot, access: NOBODY, owner: "everybody" }, {
    clock: systemClock,
    namespace: "test",
    memberId: "m",
    ttl: 20_000,
    limit: 5000,
    signal: NEVER,
    broken: () => {},
    ...options,
  });
}

/** A ZooKeeper server, a client that looks at it, and sessions on it. */
export class World implements AsyncDisposable {
  readonly server: ServerProcess;
  readonly client: Client;
  readonly #parties: Party[] = [];
  readonly #proxies: Proxy[] = [];

  constructor(server: ServerProcess) {
    this.server = server;
    this.client = createClient(`127.0.0.1:${server.port}`, { sessionTimeout: 30_000 });
    this.client.connect();
  }

  async open(options: Partial<PartyOptions> = {}): Promise<Party> {
    const broken: unknown[] = [];
    const store = await openStore({
      ports: [this.server.port],
      broken: (cause) => broken.push(cause),
      ...options,
    });
    const party = Object.assign(store, { broken });
    this.#parties.push(party);
    return party;
  }

  /** A proxy before the server. */
  async proxied(): Promise<Proxy> {
    const proxy = await startProxy(this.server.port);
    this.#proxies.push(proxy);
    return proxy;
  }

  children(path: string): Promise<string[]> {
    return new Promise((resolve, reject) =>
      this.client.getChildren(path, (error, names) => error ? reject(error) : resolve(names))
    );
  }

  stat(path: string): Promise<Stat | null> {
    return new Promise((resolve, reject) =>
      this.client.exists(path, (error, stat) => error ? reject(error) : resolve(stat))
    );
  }

  /** Removes a node; whether that could be done. */
  remove(path: string): Promise<boolean> {
    return new Promise((resolve) => this.client.remove(path, (error) => resolve(!error)));
  }

  /** How many watches there are. */
  async watches(): Promise<number> {
    const text = await ask(this.server.port, { send: "mntr", expect: /zk_watch_count\t\d+\n/ });
    return Number(/zk_watch_count\t(\d+)/.exec(text)?.[1]);
  }

  /** On how many nodes there are watches for their data. */
  async watchedNodes(): Promise<number> {
    const text = await ask(this.server.port, { send: "wchs", expect: /Total watches:\d+/ });
    return Number(/watching (\d+) paths/.exec(text)?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#parties.map((party) => party.end().catch(() => {})));
    for (const party of this.#parties) party.destroy();
    this.client.close();
    await Promise.all(this.#proxies.map((proxy) => proxy.stop()));
    await this.server.stop();
  }
}

export async function startWorld(): Promise<World> {
  return new World(await startZooKeeper());
}

let entries = 0;

export function entry(options: Partial<NewEntry> = {}): NewEntry {
  return { id: `e${++entries}-${crypto.randomUUID()}`, mode: "exclusive", value: "", ...options };
}

/** Waits until something holds. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  ms = 10_000,
): Promise<void> {
  const deadline = performance.now() + ms;
  while (!await holds()) {
    if (performance.now() > deadline) throw new LateError(`Not within ${ms} ms: ${what}`);
    await sleep(2);
  }
}

/**
 * Keeps asking until it is disposed: up to 3.8.0 a server of several may sleep over a commit until somebody asks it
 * for something (ZOOKEEPER-4537).
 */
export function nudging(stores: readonly ZookeeperStore[]): Disposable {
  const timer = setInterval(() => {
    for (const store of stores) store.renew().catch(() => {}); // Servers are killed on purpose.
  }, 50);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
