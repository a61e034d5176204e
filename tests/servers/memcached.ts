import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { requireBinary, type Suite } from "./binaries.ts";
import { Authority, type Particulars } from "./certificates.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { freePort } from "./ports.ts";
import { ask } from "./probe.ts";
import { serverDir, type ServerProcess, type ServerSpec, startServer } from "./server.ts";

export interface MemcachedServerOptions {
  /** Both have 1.6, sid a later one. Default: what there is, bookworm before sid. */
  suite?: Suite | undefined;
  /** Speaks TLS only, with clients that have a certificate of the same authority; what is special about its own. */
  tls?: boolean | Particulars;
  /** That of the user "coord", without which nothing can be read or written. Default: everybody may. */
  password?: string | undefined;
  args?: readonly string[];
}

/** Starts a memcached of its own, which is empty after a restart; `await using` ends it. */
export async function startMemcached(options: MemcachedServerOptions = {}): Promise<ServerProcess> {
  return await startServer(await memcachedSpec(options));
}

/** Starts three of them, which know nothing of one another: clients share the keys out. */
export async function startSeveralMemcached(options: MemcachedServerOptions = {}): Promise<Cluster> {
  const specs = await Promise.all(Array.from({ length: 3 }, () => memcachedSpec(options)));
  const first = specs[0]?.port;
  const leads = (port: number) => () => Promise.resolve(port === first);
  const nodes = specs.map((spec) => ({ ...spec, leads: leads(spec.port), peer: { ports: [] } }));
  return await startCluster("several memcached", nodes);
}

async function memcachedSpec(options: MemcachedServerOptions): Promise<ServerSpec> {
  const { suite, tls = false, password, args = [] } = options;
  const { file, env } = requireBinary("memcached", suite);
  const [port, dir] = [await freePort(), serverDir("memcached")];
  const command = [file, "-u", "root", "-l", "127.0.0.1", "-p", `${port}`, "-U", "0", "-m", "64", "-t", "2"];
  const authority = tls ? new Authority(join(dir, "tls"), tls) : undefined;
  const [probeTls, query] = authority
    ? [authority.probe(), `?tls=true&${authority.query()}`]
    : [undefined, ""];
  if (authority) command.push(...secure(authority));
  if (password !== undefined) command.push("-Y", writeUsers(dir, password));
  const user = password === undefined ? "" : `coord:${encodeURIComponent(password)}@`;
  const words = `coord ${password}`;
  const login = password === undefined ? "" : `set login 0 -1 ${words.length}\r\n${words}\r\n`;
  return {
    name: "memcached",
    port,
    dir,
    command: [...command, ...args],
    env,
    // It counts from 2, and nobody takes a seat before 4.
    probe: () => ask(port, { send: `${login}stats\r\n`, expect: /STAT uptime ([4-9]|\d\d)/ }, 200, probeTls),
    url: (reached) => `memcached://${user}127.0.0.1:${reached}${query}`,
  };
}

function secure(authority: Authority): string[] {
  const { cert, key } = authority.server;
  const files = { ssl_chain_cert: cert, ssl_key: key, ssl_ca_cert: authority.ca };
  return [
    "-Z",
    ...Object.entries(files).flatMap(([name, path]) => ["-o", `${name}=${path}`]),
    "-o",
    "ssl_verify_mode=2",
  ];
}

function writeUsers(dir: string, password: string): string {
  const file = join(dir, "users");
  writeFileSync(file, `coord:${password}\n`);
  return file;
}
