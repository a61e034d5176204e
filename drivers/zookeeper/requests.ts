import { Buffer } from "node:buffer";
import {
  ACL,
  type Client,
  CreateMode,
  Exception,
  Id,
  Permission,
  type Transaction,
} from "node-zookeeper-client";
import { CapacityError } from "../../core/errors.ts";
import { SessionGone } from "../../internal/tree/store.ts";
import type { Owner } from "./wire.ts";

/** What the client calls back with. */
export type Answer<T> = (error: Error | Exception | null, value?: T) => void;

/** One of several changes that are made together or not at all. */
export interface Operation {
  readonly type: "create" | "ephemeral" | "write" | "remove";
  readonly path: string;
  readonly value?: string;
  /** Only if the node has this version. */
  readonly version?: number;
}

/** The most bytes of a request that a server reads with its own settings; at one more it closes the connection. */
const LARGEST = 1_048_575;

/** The most bytes that an operation needs besides its path and value. */
const FRAME = 64;

/** Refuses what a server would not even read. */
export function checkSize(operations: readonly { path: string; value?: string }[]): void {
  let size = FRAME;
  for (const { path, value = "" } of operations) {
    size += FRAME + Buffer.byteLength(path) + Buffer.byteLength(value);
  }
  if (size <= LARGEST) return;
  const advice = `a request has at most ${LARGEST}, whatever jute.maxbuffer says; store less in one value`;
  throw new CapacityError(`Cannot send ${size} bytes to ZooKeeper: ${advice}`, { driver: "zookeeper" });
}

/** An owner as the client knows it. */
export function rightsOf(owner: Owner): ACL[] {
  return [new ACL(Permission.ALL, owner === "everybody" ? new Id("world", "anyone") : new Id("auth", ""))];
}

/** Puts operations together as the client sends them. */
export function toTransaction(
  client: Client,
  operations: readonly Operation[],
  owner: Owner,
): Transaction {
  const transaction = client.transaction();
  const rights = rightsOf(owner);
  for (const { type, path, value = "", version = -1 } of operations) {
    if (type === "create") transaction.create(path, Buffer.from(value), rights, CreateMode.PERSISTENT);
    else if (type === "ephemeral") transaction.create(path, Buffer.from(value), rights, CreateMode.EPHEMERAL);
    else if (type === "write") transaction.setData(path, Buffer.from(value), version);
    else transaction.remove(path, version);
    // The types leave out the list of operations. The client takes version 0 for "any", so it is set once more.
    const { ops } = transaction as unknown as { ops: { version?: number }[] };
    const last = ops.at(-1);
    if (last?.version !== undefined) last.version = version;
  }
  return transaction;
}

/** The code for a quota that is used up: no server says it otherwise, and the client does not know the right one. */
export const QUOTA_EXCEEDED = Exception.SYSTEM_ERROR;

const MEANINGS: ReadonlyMap<number, string> = new Map([
  [
    Exception.NO_AUTH,
    ", a right is missing: the nodes are another user's, or were made with another password, or their ACL gives too little",
  ],
  [
    Exception.AUTH_FAILED,
    ', it wants everybody to log in: see "user" and "password"; SASL is not spoken here',
  ],
  [Exception.UNIMPLEMENTED, ", it is too old: want ZooKeeper 3.5 or later"],
]);

/** What the server refused. */
export class Refused extends Error {
  readonly code: number;

  constructor({ code, name }: Exception) {
    super(`the server refuses: ${name}${MEANINGS.get(code) ?? ""}`);
    this.code = code;
  }
}

/** What an error of the client means to those who asked. */
export function interpret(error: Error | Exception): Error {
  if (!(error instanceof Exception)) return error;
  if (error.code === Exception.SESSION_EXPIRED) return new SessionGone("the server has ended the session");
  if (error.code === QUOTA_EXCEEDED) return overQuota();
  return new Refused(error);
}

function overQuota(): CapacityError {
  const why = "the server refuses: QUOTA_EXCEEDED, a quota of the nodes is used up; raise it (setquota)";
  return new CapacityError(`Cannot store that in ZooKeeper: ${why}`, { driver: "zookeeper" });
}

function isRefusal(error: unknown, codes: readonly number[]): boolean {
  return error instanceof Refused && codes.includes(error.code);
}

/** Whether a change was refused for want of a right. */
export function isForbidden(error: unknown): boolean {
  return isRefusal(error, [Exception.NO_AUTH]);
}

/** What a request answers, or undefined where there is no such node. */
export async function orAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isRefusal(error, [Exception.NO_NODE])) return undefined;
    throw error;
  }
}

/** Whether a change was made; false: the nodes are not as it supposes. */
export async function isDone(change: Promise<unknown>): Promise<boolean> {
  try {
    await change;
    return true;
  } catch (error) {
    const { NO_NODE, NODE_EXISTS, BAD_VERSION, NOT_EMPTY } = Exception;
    if (isRefusal(error, [NO_NODE, NODE_EXISTS, BAD_VERSION, NOT_EMPTY])) return false;
    throw error;
  }
}
