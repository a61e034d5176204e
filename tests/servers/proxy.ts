import { type AddressInfo, connect, createServer, type Server as Listener, type Socket } from "node:net";
import { Pipe } from "./pipe.ts";

type Mode = "forward" | "hold" | "blackHole" | "refuse";

/** Both ends of one proxied connection, and what befell it. */
interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes are missing: it can never carry sense again. */
  torn: boolean;
  /** The next answer is to be dropped. */
  dropped: Drop | undefined;
}

/** An answer that is to be lost. */
interface Drop {
  readonly to: string | undefined;
  /** So many bytes of it get through. */
  left: number;
  readonly done: () => void;
}

/** What went through since the start; a chunk is one read from a socket, for small requests one request. */
export interface Traffic {
  /** Connections accepted, those that were refused included. */
  connections: number;
  requestBytes: number;
  requestChunks: number;
  answerBytes: number;
  answerChunks: number;
}

/** A TCP proxy before a server on 127.0.0.1, with the faults that a network can have. */
export class Proxy {
  readonly traffic: Traffic = {
    connections: 0,
    requestBytes: 0,
    requestChunks: 0,
    answerBytes: 0,
    answerChunks: 0,
  };
  readonly #target: number;
  readonly #listener: Listener;
  readonly #links = new Set<Link>();
  readonly #drops: Drop[] = [];
  readonly #heard = new Set<Link>();
  #mode: Mode = "forward";
  #delay = 0;

  constructor(target: number) {
    this.#target = target;
    this.#listener = createServer((client) => this.accept(client));
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port; // A TCP listener has no other kind of address.
  }

  get open(): number {
    return this.#links.size;
  }

  /** On how many connections, closed ones included, the server has said something since this was asked last. */
  takeHeard(): number {
    const { size } = this.#heard;
    this.#heard.clear();
    return size;
  }

  async start(host = "127.0.0.1"): Promise<this> {
    await new Promise<void>((resolve) => this.#listener.listen(0, host, resolve));
    return this;
  }

  /** Back to normal. Held bytes go out now; connections that lost bytes in a black hole are reset. */
  forward(): void {
    this.#mode = "forward";
    this.#delay = 0;
    this.#drops.length = 0;
    for (const link of this.#links) if (link.torn) reset(link);
  }

  /** Every chunk arrives this many ms late, in order, in both directions. */
  delay(ms: number): void {
    this.#delay = ms;
  }

  /** Nothing arrives until {@linkcode forward}, then all of it: a partition that heals. */
  hold(): void {
    this.#mode = "hold";
  }

  /** Everything sent is lost, both ways, while connections stay open and new ones are accepted. */
  blackHole(): void {
    this.#mode = "blackHole";
  }

  /** Resets every connection; new ones work. */
  cut(): void {
    for (const link of this.#links) reset(link);
  }

  /** Resets every connection, and each new one as soon as it is made: the server looks dead. */
  refuse(): void {
    this.#mode = "refuse";
    this.cut();
  }

  /**
   * Lets the next request through (the next that holds the text `to`, when given), but loses its answer and resets
   * the connection: the server did it, and the client cannot know. With `after`, that happens in the middle of the
   * answer, when as many bytes have got through. Resolves when it has happened. Calls add up.
   */
  dropAnswer({ to, after = 0 }: { to?: string; after?: number } = {}): Promise<void> {
    return new Promise((done) => this.#drops.push({ to, left: after, done }));
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    this.cut();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Takes a connection that somebody else has accepted; a proxy that only gets such ones need not be started. */
  accept(client: Socket): void {
    this.traffic.connections++;
    client.on("error", () => {}); // Resets are what this is for; "close" follows.
    if (this.#mode === "refuse") return void client.resetAndDestroy();
    const server = connect(this.#target, "127.0.0.1");
    server.on("error", () => {});
    const link: Link = { client, server, torn: false, dropped: undefined };
    this.#links.add(link);
    const gate = {
      delay: () => this.#delay,
      isHeld: () => this.#mode === "hold",
      isLost: () => this.#mode === "blackHole" || link.torn,
    };
    new Pipe(client, server, (chunk) => this.#request(link, chunk), gate);
    new Pipe(server, client, (chunk) => this.#answer(link, chunk), gate);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("close", () => {
        if (client.destroyed && server.destroyed) this.#links.delete(link);
      });
    }
  }

  /** Whether a chunk from the client goes on; called when it arrives. */
  #request(link: Link, chunk: Uint8Array): boolean {
    this.traffic.requestBytes += chunk.length;
    this.traffic.requestChunks++;
    const text = new TextDecoder("latin1").decode(chunk);
    const index = this.#drops.findIndex(({ to }) => to === undefined || text.includes(to));
    if (index >= 0 && !link.dropped) [link.dropped] = this.#drops.splice(index, 1);
    return this.#swallow(link);
  }

  #answer(link: Link, chunk: Uint8Array): boolean {
    this.traffic.answerBytes += chunk.length;
    this.traffic.answerChunks++;
    this.#heard.add(link);
    const { dropped } = link;
    if (!dropped || chunk.length <= dropped.left) {
      if (dropped) dropped.left -= chunk.length;
      return this.#swallow(link);
    }
    const end = () => {
      reset(link);
      dropped.done();
    };
    if (link.torn) return false;
    if (dropped.left === 0) end();
    else link.client.write(chunk.subarray(0, dropped.left), end);
    link.torn = true;
    return false;
  }

  #swallow(link: Link): boolean {
    if (this.#mode === "blackHole") link.torn = true;
    return !link.torn;
  }
}

function reset(link: Link): void {
  for (const socket of [link.client, link.server]) {
    // The reset of a socket that is about to end fails, and would leave its handle open for ever.
    if (socket.writableEnded) socket.destroy();
    else socket.resetAndDestroy();
  }
}

/** Starts a proxy before the server that listens on `port`; `await using` ends it. */
export function startProxy(port: number): Promise<Proxy> {
  return new Proxy(port).start();
}
