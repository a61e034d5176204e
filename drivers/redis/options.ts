/** Reading of the options that only this driver has. */
import { parseAddress, type Reader } from "../../internal/url.ts";
import type { Detours, Server } from "./endpoint.ts";

/** The number of a database. */
export const database: Reader<number> = (value, name) => {
  if (!/^\d{1,9}$/.test(value)) {
    throw new RangeError(`Cannot use option "${name}": want the number of a database, got "${value}"`);
  }
  return Number(value);
};

/** How many of something, from 0. */
export const count: Reader<number> = (value, name) => {
  if (!/^\d{1,9}$/.test(value)) {
    throw new RangeError(`Cannot use option "${name}": want a whole number from 0, got "${value}"`);
  }
  return Number(value);
};

/** `from=to,from=to`, as it stands in a URL. */
export const readNat: Reader<Record<string, string>> = (value) =>
  Object.fromEntries(value.split(",").map((pair) => pair.split("=", 2)));

/** Where servers are reached that are told to be elsewhere. */
export function readDetours(nat: Readonly<Record<string, string>>): Detours {
  return new Map(Object.entries(nat).map(([from, to]) => [from, readServer(to)]));
}

function readServer(authority: string): Server {
  const [server, ...others] = parseAddress(`redis://${authority}`).hosts;
  if (server?.port === undefined || others.length > 0) {
    throw new TypeError(`Cannot use option "nat": want host:port, got ${JSON.stringify(authority)}`);
  }
  return { host: server.host, port: server.port };
}
