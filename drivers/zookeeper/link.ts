import { Buffer } from "node:buffer";
import { type Client, CreateMode, type Exception, type Stat } from "node-zookeeper-client";
import type { Credentials } from "../../internal/access.ts";
import { Interrupted, SessionGone } from "../../internal/tree/store.ts";
import { type Answer, checkSize, interpret, type Operation, rightsOf, toTransaction } from "./requests.ts";
import { type Response, type Server, type SessionKey, Transport } from "./transport.ts";
import { Watches } from "./watches.ts";
import { closeSession, createContainer, createEntry, type Owner, type Request, sync } from "./wire.ts";

/** What a link is opened with. */
export interface LinkOptions {
  /** Asked for, in ms. */
  readonly ttl: number;
  /** The session to go on with; undefined: a new one. */
  readonly key: SessionKey | undefined;
  readonly credentials: Credentials;
  /** Whose the nodes are that it makes. */
  readonly owner: Owner;
  readonly signal: AbortSignal;
  /** Called once when a link that was open is no more. */
  closed(link: Link, cause: unknown): void;
}

/** A node as it was read. */
export interface Node {
  readonly value: string;
  readonly stat: Stat;
}

/** A directory as it was read. */
export interface Directory {
  readonly names: readonly string[];
  /** The latest change of any node that the server knew when it read. */
  readonly at: bigint;
}

/** One connection within a session, from when it is ready until it breaks; it is never repaired. */
export class Link {
  readonly watches: Watches;
  readonly #transport: Transport;
  readonly #options: LinkOptions;
  readonly #pending = new Set<(cause: Error) => void>();
  readonly #ready = Promise.withResolvers<void>();
  #isOpen = false;
  #broken: Interrupted | undefined;

  private constructor(server: Server, options: LinkOptions) {
    this.#options = options;
    this.watches = new Watches(this);
    this.#transport = new Transport(server, {
      ttl: options.ttl,
      key: options.key,
      credentials: options.credentials,
      ready: () => this.#ready.resolve(),
      expired: () => this.#ready.reject(new SessionGone("the server has ended the session")),
      closed: (cause) => this.#end(cause),
    });
  }

  /** Connects to one server. */
  static async open(server: Server, options: LinkOptions): Promise<Link> {
    const { signal } = options;
    signal.throwIfAborted();
    const link = new Link(server, options);
    const abort = () => link.destroy(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await link.#ready.promise;
      link.#isOpen = true;
      return link;
    } catch (error) {
      link.destroy(error);
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Whether it can still be used. */
  get open(): boolean {
    return this.#broken === undefined;
  }

  /** What another link needs to go on with the session. */
  get key(): SessionKey {
    return this.#transport.key;
  }

  /** As granted, in ms. */
  get ttl(): number {
    return this.#transport.client.getSessionTimeout();
  }

  /** Cuts the connection now. */
  destroy(cause: unknown): void {
    this.#transport.destroy(cause);
  }

  #end(cause: unknown): void {
    const why = cause instanceof Error ? cause.message : String(cause);
    this.#broken = new Interrupted(why, { cause });
    this.#ready.reject(this.#broken);
    for (const reject of this.#pending) reject(this.#broken);
    this.#pending.clear();
    this.watches.end(this.#broken);
    if (this.#isOpen) this.#options.closed(this, cause);
  }

  /** Settles when the server has seen all that was committed before; what is asked after it on this link sees it too. */
  sync(): Promise<void> {
    return this.#send(sync(), () => undefined);
  }

  /** Ends the session. */
  endSession(): Promise<void> {
    return this.#send(closeSession(), () => undefined);
  }

  /** Makes a directory that the server removes once it was in use and is empty. */
  container(path: string): Promise<void> {
    return this.#send(createContainer(path, this.#options.owner), () => undefined);
  }

  /** Makes a node that stays. */
  async persistent(path: string): Promise<void> {
    const { owner } = this.#options;
    await this.#ask<string>((client, answer) =>
      client.create(path, rightsOf(owner), CreateMode.PERSISTENT, answer)
    );
  }

  /** Makes a node of this session, with a number at the end of its name. */
  entry(prefix: string, value: string): Promise<{ name: string; token: bigint }> {
    checkSize([{ path: prefix, value }]);
    return this.#send(createEntry(prefix, Buffer.from(value), this.#options.owner), ({ payload }) => {
      // Asked for in this form.
      const { data, stat } = payload as { data: Buffer; stat: Stat };
      const path = data.toString();
      return { name: path.slice(path.lastIndexOf("/") + 1), token: stat.czxid.readBigInt64BE() };
    });
  }

  /** Removes a node. */
  remove(path: string): Promise<void> {
    return this.#ask((client, answer) => client.remove(path, (error) => answer(error, undefined)));
  }

  /** Replaces the value of a node. */
  async write(path: string, value: string): Promise<void> {
    checkSize([{ path, value }]);
    await this.#ask<Stat>((client, answer) => client.setData(path, Buffer.from(value), answer));
  }

  /** Carries out all of the operations or none. */
  async all(operations: readonly Operation[]): Promise<void> {
    checkSize(operations);
    const { owner } = this.#options;
    await this.#ask((client, answer) => toTransaction(client, operations, owner).commit(answer));
  }

  /** What is known of a node without its value; undefined: there is none. */
  async stat(path: string): Promise<Stat | undefined> {
    // The types leave out that there may be none.
    return await this.#ask<Stat | null>((client, answer) => client.exists(path, answer)) ?? undefined;
  }

  read(path: string, watcher?: () => void): Promise<Node> {
    return this.#ask((client, answer) => {
      const read = (error: Error | Exception | null, data: Buffer, stat: Stat) =>
        answer(error, { value: data?.toString() ?? "", stat });
      if (watcher) client.getData(path, watcher, read);
      else client.getData(path, read);
    });
  }

  /** The names of the nodes in a directory, and with a watcher when they last changed. */
  children(path: string, watcher?: () => void): Promise<Directory & { changed: bigint }> {
    return this.#ask((client, answer) => {
      const read = (error: Error | Exception | null, names: string[], stat: Stat) =>
        error ? answer(error) : answer(null, {
          names,
          at: this.#transport.zxid,
          changed: stat.pzxid.readBigInt64BE(),
        });
      if (watcher) client.getChildren(path, watcher, read);
      else client.getChildren(path, read);
    });
  }

  /** Whether there is a node; the watcher hears when that changes. */
  async exists(path: string, watcher: () => void): Promise<boolean> {
    return await this.#ask<Stat | null>((client, answer) => client.exists(path, watcher, answer)) !== null;
  }

  /** The latest change that was seen. */
  get at(): bigint {
    return this.#transport.zxid;
  }

  #send<T>(request: Request, read: (response: Response) => T): Promise<T> {
    return this.#ask<T>((_, answer) => {
      this.#transport.send(
        request,
        (error, response) => error ? answer(error) : answer(null, read(response)),
      );
    });
  }

  /** Asks the client, which calls back; what it is asked together it sends together, in order. */
  async #ask<T>(ask: (client: Client, answer: Answer<T>) => void): Promise<T> {
    if (this.#broken) throw this.#broken;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#pending.add(reject);
    try {
      ask(this.#transport.client, (error, value) => {
        if (error) reject(interpret(error));
        // Without an error there is a value, be it undefined.
        else resolve(value as T);
      });
      return await promise;
    } finally {
      this.#pending.delete(reject);
    }
  }
}
