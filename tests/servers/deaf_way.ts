import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * A way to a server on which clients may be kept from hearing: they learn that the server has ended their connection
 * when they say something, by a reset, as over a network on which the end was lost.
 */
export class DeafWay implements Disposable {
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  #isDeaf = false;

  private constructor(target: number) {
    this.#listener = createServer((client) => this.#accept(client, connect(target, "127.0.0.1")));
  }

  static async start(target: number): Promise<DeafWay> {
    const way = new DeafWay(target);
    await new Promise<void>((resolve) => way.#listener.listen(0, "127.0.0.1", resolve));
    return way;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port; // A TCP listener has no other kind of address.
  }

  /** From now on nothing that the server says gets through. */
  deafen(): void {
    this.#isDeaf = true;
  }

  #accept(client: Socket, server: Socket): void {
    let isOver = false;
    server.on("data", (bytes) => void (this.#isDeaf || client.write(bytes)));
    server.on("close", () => isOver = true);
    client.on("data", (bytes) => isOver ? void client.resetAndDestroy() : void server.write(bytes));
    client.on("close", () => server.destroy());
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => {}); // Resets are what this is for.
      this.#sockets.add(socket);
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
