import type { Stat } from "node-zookeeper-client";
import type { Target } from "../../driver.ts";
import type { Line, Store, StoreOptions } from "../../internal/tree/store.ts";
import { Connection, type Endpoint, rotate } from "./connection.ts";
import { ZookeeperGroups } from "./groups.ts";
import { ZookeeperLine } from "./line.ts";
import type { Link } from "./link.ts";
import { ancestors, escapePart } from "./paths.ts";
import { isDone, isForbidden } from "./requests.ts";

/** Where the servers are, who asks, and below which node everything stands there. */
export interface Place extends Endpoint {
  /** Without a slash at its end; empty: the root. */
  readonly chroot: string;
}

/** So many requests at once. */
const LANES = 64;
/** A closing session tidies up so many directories; the servers do the same with what is left, only later. */
const TIDY = 200;

/** One session of ZooKeeper. */
export class ZookeeperStore implements Store {
  readonly ttl: number;
  readonly lanes = LANES;
  readonly location: string;
  readonly groups: ZookeeperGroups;
  readonly connection: Connection;
  /** The node that everything of the namespace stands below. */
  readonly root: string;
  readonly #chroot: string;
  /** The directories in use, each with its entries of this session. */
  readonly #used = new Map<string, Set<string>>();

  private constructor(connection: Connection, chroot: string, namespace: string) {
    this.connection = connection;
    this.ttl = connection.ttl;
    this.location = connection.location;
    this.#chroot = chroot;
    this.root = `${chroot}/${escapePart(namespace)}`;
    this.groups = new ZookeeperGroups(this);
  }

  /** Opens a session. */
  static async open(place: Place, options: StoreOptions): Promise<ZookeeperStore> {
    // Not all clients may begin with the same server.
    const servers = rotate(place.servers, Math.floor(Math.random() * place.servers.length));
    const connection = await Connection.open({ ...place, servers }, options);
    return new ZookeeperStore(connection, place.chroot, options.namespace);
  }

  renew(): Promise<void> {
    // Any request does it. This one finds out too whether the server still has a majority behind it.
    return this.connection.run((link) => link.sync());
  }

  owned(paths: readonly string[]): Promise<ReadonlySet<string>> {
    const nodes = paths.map((path) => this.groups.nodesOf(path));
    const isOwn = (stat: Stat | undefined) => stat?.ephemeralOwner.readBigInt64BE() === this.connection.owner;
    return this.connection.run(async (link) => {
      const [, ...stats] = await Promise.all([
        link.sync(),
        ...nodes.map((all) => Promise.all(all.map((node) => link.stat(node)))),
      ]);
      return new Set(paths.filter((_, i) => stats[i]?.every(isOwn)));
    });
  }

  async end(): Promise<void> {
    await this.connection.run((link) => Promise.all([...this.#tidy(link), link.endSession()]));
  }

  destroy(): void {
    this.connection.destroy();
  }

  line(target: Target): Line {
    return new ZookeeperLine(this, target);
  }

  /** Remembers that an entry of this session was made, or where one is no more. */
  note(directory: string, path: string, isThere: boolean): void {
    const entries = this.#used.get(directory) ?? new Set();
    if (isThere) entries.add(path);
    else entries.delete(path);
    this.#used.delete(directory);
    this.#used.set(directory, entries);
    const [oldest] = this.#used.keys();
    if (this.#used.size > TIDY && oldest !== undefined) this.#used.delete(oldest);
  }

  /** Removes the directories that were used, if they are empty by now. */
  *#tidy(link: Link): Iterable<Promise<unknown>> {
    for (const [directory, entries] of this.#used) {
      for (const path of [...entries, directory]) {
        // What is not removed here goes with the session, or is in use.
        yield link.remove(path).catch(() => {});
      }
    }
  }

  /** Makes the directories above a node, where they are missing. */
  async makeWay(link: Link, path: string): Promise<void> {
    await Promise.all(ancestors(path).map((directory) => this.#makeDirectory(link, directory)));
  }

  async #makeDirectory(link: Link, directory: string): Promise<void> {
    try {
      await isDone(this.#isAbove(directory) ? link.persistent(directory) : link.container(directory));
    } catch (error) {
      // Who may make nothing there is told so even where it has been made before.
      if (!isForbidden(error) || await link.stat(directory) === undefined) throw error;
    }
  }

  #isAbove(directory: string): boolean {
    return this.#chroot === directory || this.#chroot.startsWith(`${directory}/`);
  }
}
