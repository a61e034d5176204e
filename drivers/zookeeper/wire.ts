import { Buffer } from "node:buffer";

/** A request that is put together here: the client has no function for it. */
export interface Request {
  /** The client sets the number, and reads the answer as that of a request of this type. */
  readonly header: { readonly type: number; xid: number };
  readonly payload: null;
  toBuffer(): Buffer;
}

/** Requests that the client can read the answers of. */
const REMOVE = 2;
const GET_DATA = 4;
const CLOSE_SESSION = -11;

/** Requests that it cannot. */
const SYNC = 9;
const CREATE2 = 15;
const CREATE_CONTAINER = 19;

const EPHEMERAL_SEQUENTIAL = 3;
const CONTAINER = 4;
const ALL_PERMISSIONS = 31;

/** Who may do anything with a new node: all, or only the user who makes it. */
export type Owner = "everybody" | "user";

/** Makes an entry of a line. Its answer has the form of a node's data: the path, then the state of the new node. */
export function createEntry(prefix: string, value: Buffer, owner: Owner): Request {
  return request(
    CREATE2,
    GET_DATA,
    Buffer.concat([creation(prefix, value, owner), int(EPHEMERAL_SEQUENTIAL)]),
  );
}

/** Makes a directory that the server removes some time after it has become empty. */
export function createContainer(path: string, owner: Owner): Request {
  return request(
    CREATE_CONTAINER,
    REMOVE,
    Buffer.concat([creation(path, Buffer.alloc(0), owner), int(CONTAINER)]),
  );
}

/** Answered once the server has seen all that was committed before. */
export function sync(): Request {
  return request(SYNC, REMOVE, text("/"));
}

/** Ends the session. */
export function closeSession(): Request {
  return request(CLOSE_SESSION, CLOSE_SESSION, Buffer.alloc(0));
}

function request(operation: number, answer: number, body: Buffer): Request {
  const header = { type: answer, xid: 0 };
  return {
    header,
    payload: null,
    toBuffer: () =>
      Buffer.concat([int(body.length + 8), int(header.xid), int(operation), body], body.length + 12),
  };
}

function creation(path: string, value: Buffer, owner: Owner): Buffer {
  const [scheme, id] = owner === "everybody" ? ["world", "anyone"] as const : ["auth", ""] as const;
  const rights = [int(1), int(ALL_PERMISSIONS), text(scheme), text(id)];
  return Buffer.concat([text(path), int(value.length), value, ...rights]);
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([int(bytes.length), bytes]);
}

/** Splits what comes from a server, in pieces of any size, into its messages, each with its length before it. */
export function splitMessages(handle: (message: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (data.length >= 4 && data.length >= data.readInt32BE(0) + 4) {
      const end = data.readInt32BE(0) + 4;
      handle(data.subarray(0, end));
      data = data.subarray(end);
    }
    rest = data;
  };
}
