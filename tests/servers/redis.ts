import { join } from "node:path";
import { requireBinary, type Suite } from "./binaries.ts";
import { Authority, type Particulars } from "./certificates.ts";
import { freePort } from "./ports.ts";
import { ask } from "./probe.ts";
import { serverDir, type ServerProcess, startServer } from "./server.ts";

export type RedisProgram = "redis-server" | "valkey-server";

export interface RedisServerOptions {
  /** Keep every write over a kill -9. Default false: then a restarted server is empty. */
  persistent?: boolean | undefined;
  password?: string | undefined;
  /** The password is that of user `coord`, who may do what these words of an ACL say; default: everybody may do all. */
  rights?: readonly string[];
  /** Speaks TLS only, with clients that have a certificate of the same authority; what is special about its own. */
  tls?: boolean | Particulars;
  /** Default: Redis. */
  program?: RedisProgram | undefined;
  /** bookworm has Redis 7.0, sid has Redis 8 and Valkey 9. Default: what there is, bookworm before sid. */
  suite?: Suite | undefined;
  args?: readonly string[];
}

/** The password of the default user, where another is connected as. */
const ROOT = "r00t-s3cr3t";

/** Starts a Redis of its own; `await using` ends it. */
export async function startRedis(options: RedisServerOptions = {}): Promise<ServerProcess> {
  const { persistent = false, password, tls = false, program = "redis-server", suite, args = [] } = options;
  const { file, env } = requireBinary(program, suite);
  const [port, dir] = [await freePort(), serverDir("redis")];
  const authority = tls ? new Authority(join(dir, "tls"), tls) : undefined;
  const command = [file, ...authority ? secure(port, authority) : ["--port", `${port}`]];
  command.push("--bind", "127.0.0.1", "--dir", dir, "--save", "");
  // Only "always" keeps an answered write: the other policies lose up to a second.
  if (persistent) command.push("--appendonly", "yes", "--appendfsync", "always");
  if (options.rights) command.push("--user", "coord", "on", `>${password}`, ...options.rights);
  // The one who looks after the server may do all; nobody else knows this password.
  const master = options.rights ? ROOT : password;
  if (master !== undefined) command.push("--requirepass", master);
  command.push(...args);
  const login = master === undefined ? "" : `AUTH ${JSON.stringify(master)}\r\n`;
  const name = options.rights ? "coord" : "";
  const user = password === undefined ? "" : `${name}:${encodeURIComponent(password)}@`;
  const [probe, query] = authority ? [authority.probe(), `?${authority.query()}`] : [undefined, ""];
  return await startServer({
    name: "redis",
    port,
    dir,
    command,
    env,
    probe: () => ask(port, { send: `${login}PING\r\n`, expect: /\+PONG/ }, 1000, probe),
    url: (reached) => `${authority ? "rediss" : "redis"}://${user}127.0.0.1:${reached}${query}`,
  });
}

function secure(port: number, authority: Authority): string[] {
  const { cert, key } = authority.server;
  const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", authority.ca];
  return ["--port", "0", "--tls-port", `${port}`, ...files, "--tls-auth-clients", "yes"];
}
