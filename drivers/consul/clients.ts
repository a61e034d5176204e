import { Agent as PlainAgent } from "node:http";
import { Agent as TlsAgent } from "node:https";
import Consul from "consul";
import type { Credentials } from "../../internal/access.ts";
import { authorityOf } from "../../internal/url.ts";
import type { Client } from "./exchange.ts";

/** Where a server or an agent is. */
export interface Server {
  readonly host: string;
  readonly port: number;
}

/** A client of each server, with the same credentials. */
export interface Clients {
  /** In the order of the servers. */
  readonly each: readonly Client[];
  /** What every request carries. */
  readonly headers: Readonly<Record<string, string>>;
  destroy(): void;
}

/** Makes clients of servers; they connect with each request anew. */
export function createClients(servers: readonly Server[], { password, tls }: Credentials): Clients {
  // A connection for each request: Deno repeats a request in silence when one that was used before breaks.
  const agent = tls ? new TlsAgent({ keepAlive: false, ...tls }) : new PlainAgent({ keepAlive: false });
  const each = servers.map((server) => {
    const host = authorityOf(server).replace(/:\d+$/, "");
    const client: unknown = new Consul({ host, port: server.port, secure: tls !== undefined, agent });
    return client as Client; // Its types leave out what it inherits.
  });
  const headers = password === undefined ? {} : { "x-consul-token": password };
  return { each, headers, destroy: () => agent.destroy() };
}
