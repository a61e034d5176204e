import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type Client, createClient, Exception } from "node-zookeeper-client";
import type { Credentials } from "../../internal/access.ts";
import { splitMessages } from "./wire.ts";

/** One server. */
export interface Server {
  readonly host: string;
  readonly port: number;
}

/** What a session is known by; the client sends it to go on with one. */
export interface SessionKey {
  readonly id: Buffer;
  readonly password: Buffer;
  /** The latest change that was seen: a server that is behind refuses the session. */
  readonly zxid: Buffer;
}

/** What is used of the client's inside, of the version that package.json names and no other. */
interface Inside {
  zxid: Buffer;
  socket: Socket;
  connect(): void;
  findNextServer(): void;
  onSocketConnected(): void;
  onSocketData(chunk: Buffer): void;
  onSocketDrain(): void;
  onSocketClosed(): void;
  queue(request: object, answer: (error: Error | undefined, response: Response) => void): void;
}

/** An answer, as the client has read it. */
export interface Response {
  readonly payload?: unknown;
}

/** What a connection is made with, and who hears what happens to it. */
export interface TransportOptions {
  /** Asked for, in ms. */
  readonly ttl: number;
  readonly key: SessionKey | undefined;
  readonly credentials: Credentials;
  ready(): void;
  expired(): void;
  /** Called once, at the end of the connection. */
  closed(cause: unknown): void;
}

/** The longest time that a timer can have. */
const LONGEST = 2 ** 31 - 1;

/** SESSIONCLOSED_REQUIRE_SASL_AUTH, which is said of every way to log in that a server demands. */
const LOGIN_REQUIRED = -124;

const KNOWN = new Set<unknown>(Object.values(Exception));

/**
 * One connection of the client. Left to itself the client reconnects to where it likes, keeps requests for later, mixes
 * up a message that was cut off with the next connection, and throws at answers that it does not know. So each
 * connection has a client of its own, which is told the server and the session, and ends with the connection.
 */
export class Transport {
  readonly client: Client;
  readonly #inside: Inside;
  readonly #closed: (cause: unknown) => void;
  #cause: unknown;
  #isClosed = false;

  constructor(server: Server, options: TransportOptions) {
    const { ttl, key, credentials: { user, password = "", tls } } = options;
    // The client cannot read the address of every server: it is given below.
    this.client = createClient("server", {
      sessionTimeout: Math.min(Math.ceil(ttl), LONGEST),
      // The types know less options than the client.
      ...(key && { sessionId: key.id, sessionPassword: key.password }),
    });
    // The client's types do not tell its inside.
    this.#inside = (this.client as unknown as { connectionManager: Inside }).connectionManager;
    this.#closed = options.closed;
    if (key) this.#inside.zxid = key.zxid;
    if (user !== undefined) this.client.addAuthInfo("digest", Buffer.from(`${user}:${password}`));
    this.client.once("connected", options.ready);
    this.client.once("expired", options.expired);
    this.client.once("authenticationFailed", () => this.destroy(new Error("the server refuses the user")));
    this.#connect(server, tls);
  }

  #connect(server: Server, tls: Credentials["tls"]): void {
    const inside = this.#inside;
    // It knows no TLS, so it is given its socket.
    inside.findNextServer = () => {};
    inside.connect();
    inside.connect = () => {}; // It would connect again when this connection has closed.
    const socket = inside.socket = tls ? connectTls({ ...server, ...tls }) : connect({ ...server });
    socket.setNoDelay();
    socket.on(tls ? "secureConnect" : "connect", () => inside.onSocketConnected());
    socket.on("data", splitMessages((message) => this.#read(message)));
    socket.on("drain", () => inside.onSocketDrain());
    socket.on("error", (error) => this.#cause ??= error);
    socket.on("close", () => {
      // First, since the client knows less of the cause.
      this.destroy(new Error("the server closed the connection"));
      inside.onSocketClosed();
    });
  }

  #read(message: Buffer): void {
    if (this.#isClosed) return;
    try {
      if (this.client.getState().name === "SYNC_CONNECTED") admit(message);
      this.#inside.onSocketData(message);
    } catch (error) {
      this.destroy(error);
    }
  }

  /** The latest change that was seen on this connection. */
  get zxid(): bigint {
    return this.#inside.zxid.readBigInt64BE();
  }

  /** What another connection needs to go on with the session. */
  get key(): SessionKey {
    const { client } = this;
    return { id: client.getSessionId(), password: client.getSessionPassword(), zxid: this.#inside.zxid };
  }

  /** Sends a request that the client has no function for. */
  send(request: object, answer: (error: Error | undefined, response: Response) => void): void {
    this.#inside.queue(request, answer);
  }

  /** Cuts the connection now. */
  destroy(cause: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#inside.socket.destroy();
    this.#closed(this.#cause ?? cause);
  }
}

/** Replaces an error code that the client would throw at by one that it knows. */
function admit(message: Buffer): void {
  if (message.length < 20) return;
  const code = message.readInt32BE(16);
  if (KNOWN.has(code)) return;
  message.writeInt32BE(code === LOGIN_REQUIRED ? Exception.AUTH_FAILED : Exception.API_ERROR, 16);
}
