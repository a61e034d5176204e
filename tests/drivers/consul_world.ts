import { createServer, type Server as Listener, type Socket } from "node:net";
import { ConsulStore } from "../../drivers/consul/store.ts";
import { systemClock } from "../../internal/clock.ts";
import type { NewEntry, StoreOptions } from "../../internal/tree/store.ts";
import { startConsul } from "../servers/consul.ts";
import { type Proxy, startProxy } from "../servers/proxy.ts";
import type { ServerProcess } from "../servers/server.ts";
import { NOBODY } from "./nobody.ts";

export const NEVER = new AbortController().signal;

export const LOCK = { kind: "lock", name: "l" } as const;

export interface StoreSettings extends Partial<StoreOptions> {
  readonly ports: readonly number[];
  readonly datacenter?: string;
  readonly lockDelay?: number;
}

/** Opens a session, which its user has to end. */
export function openStore(
  { ports, datacenter, lockDelay = 0, ...options }: StoreSettings,
): Promise<ConsulStore> {
  const hosts = ports.map((port) => ({ host: "127.0.0.1", port }));
  return ConsulStore.open({ hosts, access: NOBODY, datacenter, lockDelay }, {
    clock: systemClock,
    namespace: "test",
    memberId: "m",
    ttl: 20_000,
    limit: 2_000,
    signal: NEVER,
    broken: () => {},
    ...options,
  });
}

/** A Consul server, and sessions on it. */
export class World implements AsyncDisposable {
  readonly server: ServerProcess;
  readonly #stores: ConsulStore[] = [];
  readonly #proxies: Proxy[] = [];

  constructor(server: ServerProcess) {
    this.server = server;
  }

  async open(settings: Partial<StoreSettings> = {}): Promise<ConsulStore> {
    const store = await openStore({ ports: [this.server.port], ...settings });
    this.#stores.push(store);
    return store;
  }

  /** A session through a proxy of its own. */
  async proxied(settings: Partial<StoreSettings> = {}): Promise<{ store: ConsulStore; proxy: Proxy }> {
    const proxy = await startProxy(this.server.port);
    this.#proxies.push(proxy);
    return { proxy, store: await this.open({ ports: [proxy.port], ...settings }) };
  }

  /** What the server answers to a request that the driver does not make. */
  async ask(path: string): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`http://127.0.0.1:${this.server.port}/v1${path}`);
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const store of this.#stores) store.destroy();
    await Promise.all(this.#proxies.map((proxy) => proxy.stop()));
    await this.server.stop();
  }
}

export async function startWorld(): Promise<World> {
  return new World(await startConsul());
}

let entries = 0;

export function newEntry(settings: Partial<NewEntry> = {}): NewEntry {
  return { id: `e${++entries}`, mode: "exclusive", value: "v", ...settings };
}

/** A server that is none: it counts requests, and answers each as it is told, or drops the connection. */
export class Fake implements AsyncDisposable {
  requests: string[] = [];
  readonly #listener: Listener;
  readonly #sockets = new Set<Socket>();

  private constructor(answer: (request: number) => string | undefined) {
    this.#listener = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {}); // The client may have gone.
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("data", (chunk: Uint8Array) => {
        for (const line of new TextDecoder().decode(chunk).match(/^(GET|PUT) \S+/gm) ?? []) {
          const text = answer(this.requests.push(line));
          if (text === undefined) socket.destroy();
          else socket.write(text);
        }
      });
    });
  }

  static async start(answer: (request: number) => string | undefined): Promise<Fake> {
    const fake = new Fake(answer);
    await new Promise<void>((resolve) => fake.#listener.listen(0, "127.0.0.1", resolve));
    return fake;
  }

  /** How many connections are open. */
  get open(): number {
    return this.#sockets.size;
  }

  get port(): number {
    const address = this.#listener.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
  }
}

/** An HTTP answer; the connection would serve another request. */
export function http(status: string, body: string, type = "application/json"): string {
  const head = [`HTTP/1.1 ${status}`, `Content-Type: ${type}`, `Content-Length: ${body.length}`];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}
