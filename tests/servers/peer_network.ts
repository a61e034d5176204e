import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server as Listener, type Socket } from "node:net";
import { isListening, ownerOf } from "./kernel_sockets.ts";
import { Proxy } from "./proxy.ts";
import { GRANTED, REFUSED, wantedPort } from "./socks.ts";

/** Where the others reach a node that knows no SOCKS; it itself listens on the same ports of 127.0.0.1. */
export const PEER_HOST = "127.0.0.2";

/** A node as its peers know it. */
export interface Peer {
  /** On which other nodes connect to it. */
  readonly ports: readonly number[];
  /** On which it sends datagrams to other nodes, and receives theirs. */
  readonly datagrams?: number;
  /** Where it asks for its connections to other nodes, in SOCKS 5. */
  readonly socks?: number;
}

/**
 * The network between the nodes of a cluster: what one sends to another goes through here, and is lost when one of the
 * two is isolated. Clients are not in it. A node that knows SOCKS says itself who it is, by the port where it asks. Of
 * others we ask the kernel, which has forgotten who it was that said something and closed before we looked; that is
 * good enough for nodes which wait for answers.
 */
export class PeerNetwork implements AsyncDisposable {
  readonly #peers: readonly Peer[];
  readonly #pids: () => readonly (number | undefined)[];
  readonly #listeners: Listener[] = [];
  readonly #datagrams = new Map<number, DatagramSocket>();
  readonly #proxies = new Map<string, { readonly ends: readonly number[]; readonly proxy: Proxy }>();
  readonly #isolated = new Set<number>();

  /** @param pids The processes of the nodes, in the order of `peers`, as they are when it is called. */
  constructor(peers: readonly Peer[], pids: () => readonly (number | undefined)[]) {
    this.#peers = peers;
    this.#pids = pids;
  }

  async start(): Promise<this> {
    for (const [index, { ports, datagrams, socks }] of this.#peers.entries()) {
      for (const port of socks === undefined ? ports : []) {
        await this.#listen(PEER_HOST, port, (socket) => this.#pass(socket, port));
      }
      if (socks !== undefined) {
        await this.#listen("127.0.0.1", socks, (socket) => void this.#connect(socket, index));
      }
      if (datagrams !== undefined) await this.#receive(index, datagrams);
    }
    return this;
  }

  /** Cuts a node off from all others; connections stay open, and nobody is told. */
  isolate(index: number): void {
    this.#isolated.add(index);
    for (const { ends, proxy } of this.#proxies.values()) if (this.#isCut(ends)) proxy.blackHole();
  }

  /** Every node reaches every other again; connections that have lost bytes are reset. */
  heal(): void {
    this.#isolated.clear();
    for (const { proxy } of this.#proxies.values()) proxy.forward();
  }

  async stop(): Promise<void> {
    const ends = [...this.#listeners, ...this.#datagrams.values()].map((each) =>
      new Promise<void>((resolve) => each.close(() => resolve()))
    );
    await Promise.all([...this.#proxies.values()].map(({ proxy }) => proxy.stop()));
    await Promise.all(ends);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #isCut(ends: readonly number[]): boolean {
    return ends[0] !== ends[1] && ends.some((end) => this.#isolated.has(end));
  }

  async #listen(host: string, port: number, accept: (socket: Socket) => void): Promise<void> {
    const listener = createServer(accept);
    listener.listen(port, host);
    await once(listener, "listening");
    this.#listeners.push(listener);
  }

  #pass(socket: Socket, port: number): void {
    const from = ownerOf(socket, this.#pids());
    if (from === undefined) socket.destroy(); // Its node is dead already.
    else this.#proxy(from, port).accept(socket);
  }

  async #connect(socket: Socket, from: number): Promise<void> {
    socket.on("error", () => {}); // Resets are what this is for.
    const port = await wantedPort(socket).catch(() => undefined); // Its node is dead already.
    if (port !== undefined && isListening(port)) {
      this.#proxy(from, port).accept(socket);
      socket.write(GRANTED);
    } else socket.end(REFUSED);
  }

  #proxy(from: number, port: number): Proxy {
    const key = `${from} ${port}`;
    const known = this.#proxies.get(key);
    if (known) return known.proxy;
    const ends = [from, this.#peers.findIndex(({ ports }) => ports.includes(port))];
    const proxy = new Proxy(port);
    this.#proxies.set(key, { ends, proxy });
    if (this.#isCut(ends)) proxy.blackHole();
    return proxy;
  }

  async #receive(to: number, port: number): Promise<void> {
    const socket = createSocket("udp4");
    socket.on("error", () => {}); // A node that is dead refuses, which is not our concern.
    socket.on("message", (bytes, sender) => {
      const from = this.#peers.findIndex(({ datagrams }) => datagrams === sender.port);
      // Sent on from the address at which the receiver knows the sender: it answers to that.
      if (from >= 0 && !this.#isCut([from, to])) this.#datagrams.get(from)?.send(bytes, port, "127.0.0.1");
    });
    socket.bind(port, PEER_HOST);
    await once(socket, "listening");
    this.#datagrams.set(to, socket);
  }
}
