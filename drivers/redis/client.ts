import { Redis } from "ioredis";
import { type Access, credentials, type Patience } from "../../internal/access.ts";
import type { Server } from "./endpoint.ts";

/** Makes a client that does nothing of its own accord: no queue, no retry, no connection without asking. */
export async function makeClient(server: Server, access: Access, patience: Patience, db = 0): Promise<Redis> {
  const { user, password, tls } = await credentials(access, patience);
  return new Redis({
    ...server,
    ...user === undefined ? {} : { username: user },
    ...password === undefined ? {} : { password },
    ...tls === undefined ? {} : { tls },
    db,
    protocol: 3,
    lazyConnect: true,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    disableClientInfo: true,
    connectTimeout: 0,
  });
}

/** Whom to ask a question, and as whom. */
export interface Inquiry {
  readonly server: Server;
  readonly access: Access;
  readonly patience: Patience;
}

/** Asks one question on a connection of its own. */
export async function inquire<T>(
  { server, access, patience }: Inquiry,
  question: (client: Redis) => Promise<T>,
): Promise<T> {
  const client = await makeClient(server, access, patience);
  let cause: unknown;
  client.on("error", (error: Error) => cause ??= clean(error));
  const end = (error: unknown) => {
    cause ??= error;
    cut(client);
  };
  const abort = () => end(patience.signal.reason);
  const stop = patiently(patience, () => end(new Error("it does not answer in time")));
  patience.signal.addEventListener("abort", abort, { once: true });
  try {
    patience.signal.throwIfAborted();
    await client.connect();
    return await question(client);
  } catch (error) {
    throw isReply(error) ? clean(error) : cause ?? error;
  } finally {
    stop();
    patience.signal.removeEventListener("abort", abort);
    cut(client);
  }
}

/** Calls when the time is over, of which that does not count in which the event loop stood still. */
function patiently({ clock, limit }: Patience, late: () => void): () => void {
  let left = 10;
  const tick = () => {
    if (left-- === 0) late();
    else stop = clock.after(limit / 10, tick);
  };
  let stop = clock.after(0, tick);
  return () => stop();
}

/** Cuts the connection now, without the usual good-bye, which a hung server would not answer. */
export function cut(client: Redis): void {
  client.disconnect();
  // Not there yet when the name of the host is still being looked up.
  client.stream?.destroy();
}

/** Whether it is what a server answered, not a connection that failed. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === "ReplyError";
}

/** Takes the arguments of the command off an error: a password may be among them. */
export function clean(error: Error): Error {
  if ("command" in error) delete error.command;
  return error;
}

/** An answer that is a list of names, each with its value. */
export function fields(answer: unknown): ReadonlyMap<string, string> {
  const parts = Array.isArray(answer) ? answer.map(String) : [];
  return new Map(parts.flatMap((name, i) => i % 2 === 0 ? [[name, parts[i + 1] ?? ""]] : []));
}
