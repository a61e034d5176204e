import assert from "node:assert/strict";
import type { Coordinator, CoordinatorOptions } from "../../core/api/coordinator.ts";
import { memcached } from "../../drivers/memcached.ts";
import { place } from "../../drivers/memcached/keys.ts";
import { Link } from "../../drivers/memcached/link.ts";
import { systemClock } from "../../internal/clock.ts";
import { getCoordinator } from "../../mod.ts";
import { startMemcached } from "../servers/memcached.ts";
import type { ServerProcess } from "../servers/server.ts";
import { NOBODY } from "./nobody.ts";

export const NAMESPACE = "test";

/** In ms; so long that nothing expires by itself. */
const TTL = 6_000;

/** What the server has counted since its start. */
export type Counts = Readonly<Record<string, number>>;

/** Memcached servers, an operator's connection to the first, and coordinators on all of them. */
export class World implements AsyncDisposable {
  readonly servers: readonly ServerProcess[];
  readonly #ends: (() => Promise<unknown>)[] = [];

  constructor(servers: readonly ServerProcess[]) {
    this.servers = servers;
  }

  get server(): ServerProcess {
    // A world has one at least.
    return this.servers[0] as ServerProcess;
  }

  get url(): string {
    return `memcached://${this.#hosts.join(",")}`;
  }

  get #hosts(): string[] {
    return this.servers.map(({ port }) => `127.0.0.1:${port}`);
  }

  async open(options: CoordinatorOptions & { url?: string } = {}): Promise<Coordinator> {
    const { url = this.url, ...rest } = options;
    const coordinator = await getCoordinator(memcached(url), { namespace: NAMESPACE, ttl: TTL, ...rest });
    this.#ends.push(() => coordinator.close());
    return coordinator;
  }

  /** A connection of an operator, for one thing. */
  async operate<T>(use: (link: Link) => Promise<T>): Promise<T> {
    const options = { clock: systemClock, access: NOBODY, limit: 5_000, closed: () => {} };
    const link = await Link.open({ host: "127.0.0.1", port: this.server.port }, options);
    try {
      return await use(link);
    } finally {
      link.destroy(new Error("done"));
    }
  }

  /** Takes an item away, as the server does for want of room. */
  async evict(key: string): Promise<void> {
    assert.equal((await this.operate((link) => link.ask(`md ${key}`))).code, "HD", `"${key}" was there`);
  }

  async flush(): Promise<void> {
    assert.equal((await this.operate((link) => link.ask("flush_all"))).code, "OK");
  }

  /** The value of an item; undefined: there is none. */
  async item(key: string): Promise<string | undefined> {
    const { code, value } = await this.operate((link) => link.ask(`mg ${key} v`));
    return code === "VA" ? value : undefined;
  }

  /** How often the server was asked to read and to write. */
  async requests(): Promise<number> {
    const stats = await this.operate((link) => link.stats());
    const names = [
      "cmd_get",
      "cmd_set",
      "cmd_touch",
      "delete_hits",
      "delete_misses",
      "incr_hits",
      "incr_misses",
    ];
    return names.reduce((sum, name) => sum + Number(stats.get(name)), 0);
  }

  /** A lock's name that falls to that server. */
  lockOn(server: number): string {
    for (let i = 0;; i++) {
      if (place(`${NAMESPACE}/locks/lock-${i}`, this.#hosts) === server) return `lock-${i}`;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#ends.map((end) => end()));
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

export async function startWorld(options: { count?: number; args?: readonly string[] } = {}): Promise<World> {
  const { count = 1, args = [] } = options;
  return new World(await Promise.all(Array.from({ length: count }, () => startMemcached({ args }))));
}
