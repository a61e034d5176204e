import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A request that is held back. */
export interface Held {
  /** Resolves when there is one. */
  readonly reached: Promise<void>;
  /** Lets it go on, and all that come after it. */
  pass(): void;
}

/** A way to a server on which a request can be held back, by what stands in it. */
export class Gate implements Disposable {
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  /** The last request that each connection has made. */
  readonly #asked = new Map<Socket, string>();
  #held: { readonly what: string; readonly reach: () => void; readonly passed: Promise<void> } | undefined;

  private constructor(target: number) {
    this.#listener = createServer((client) => this.#accept(client, connect(target, "127.0.0.1")));
  }

  static async start(target: number): Promise<Gate> {
    const gate = new Gate(target);
    await new Promise<void>((resolve) => gate.#listener.listen(0, "127.0.0.1", resolve));
    return gate;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port; // A TCP listener has no other kind of address.
  }

  /** Holds the next request back in which this stands, and what follows it on the same connection. */
  hold(what: string): Held {
    const [reached, passed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    this.#held = { what, reach: reached.resolve, passed: passed.promise };
    return { reached: reached.promise, pass: passed.resolve };
  }

  /** Ends the connection whose last request had this in it, of which the server does not hear. */
  strand(what: string): void {
    for (const [client, asked] of this.#asked) if (asked.includes(what)) client.destroy();
  }

  #accept(client: Socket, server: Socket): void {
    let before = Promise.resolve();
    client.on("data", (chunk) => {
      const request = new TextDecoder("latin1").decode(chunk);
      this.#asked.set(client, request);
      if (this.#held && request.includes(this.#held.what)) {
        const { reach, passed } = this.#held;
        this.#held = undefined;
        reach();
        before = before.then(() => passed);
      }
      before = before.then(() => void server.write(chunk));
    });
    client.on("close", () => this.#asked.delete(client));
    server.on("data", (chunk) => client.write(chunk));
    server.on("close", () => client.destroy());
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => {}); // Ends are what this is for.
      this.#sockets.add(socket);
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
