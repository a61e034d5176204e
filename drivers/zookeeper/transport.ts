import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type Client, createClient, Exception } from "node-zookeeper-client";
import type { Credentials } from "../../internal/access.ts";
import { QUOTA_EXCEEDED } from "./requests.ts";
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
  /** What was sent and has no answer yet, in order. */
  readonly pendingQueue: readonly { readonly request: { readonly header: { readonly type: number } } }[];
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

/** Codes that the client does not know, and those that it does which say the same to us. */
const STAND_INS: ReadonlyMap<number, number> = new Map([
  // SESSIONCLOSED_REQUIRE_SASL_AUTH, which is said of every way to log in that a server demands.
  [-124, Exception.AUTH_FAILED],
  [-125, QUOTA_EXCEEDED],
]);

/** The request of several changes. */
const MULTI = 14;
/** What an answer to it has for each of them, where it was refused, and so long that is. */
const REFUSED = -1;
const REFUSAL = 13;

/** What the system says of a connection that the other side has closed. */
const CLOSED = /^(ECONNRESET|EPIPE)$/;

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
  /** The server has said nothing yet. */
  #isNew = true;

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
      if (this.#isNew) this.#cause = turnedAway(this.#cause);
      // First, since the client knows less of the cause.
      this.destroy(new Error("the server closed the connection"));
      inside.onSocketClosed();
    });
  }

  #read(message: Buffer): void {
    if (this.#isClosed) return;
    this.#isNew = false;
    try {
      if (this.client.getState().name === "SYNC_CONNECTED") admit(message, this.#isMulti(message));
      this.#inside.onSocketData(message);
    } catch (error) {
      this.destroy(error);
    }
  }

  /** Whether it answers a request of several changes; what has a number below 0 answers none. */
  #isMulti(message: Buffer): boolean {
    const [next] = this.#inside.pendingQueue;
    return next?.request.header.type === MULTI && message.length > 20 && message.readInt32BE(4) >= 0;
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

/** Why a server closes a connection before it has said a word; it does not tell. */
function turnedAway(cause: unknown): unknown {
  if (cause instanceof Error && !CLOSED.test(String((cause as { code?: unknown }).code))) return cause;
  const why = "it serves nobody now, wants TLS, or none, or has no connection left for this address: raise " +
    "maxClientCnxns";
  return new Error(`the server closed the connection at once: ${why}`, { cause });
}

/** Replaces error codes that the client would throw at by ones that it knows. */
function admit(message: Buffer, isMulti: boolean): void {
  if (message.length < 20) return;
  admitCode(message, 16);
  if (!isMulti) return;
  for (let at = 20; at + REFUSAL < message.length && message.readInt32BE(at) === REFUSED; at += REFUSAL) {
    admitCode(message, at + REFUSAL - 4);
  }
}

function admitCode(message: Buffer, at: number): void {
  const code = message.readInt32BE(at);
  if (!KNOWN.has(code)) message.writeInt32BE(STAND_INS.get(code) ?? Exception.API_ERROR, at);
}
