import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { requireBinary, type Suite } from "./binaries.ts";
import { Authority } from "./certificates.ts";
import { Cluster, type NodeSpec } from "./cluster.ts";
import { freePorts } from "./ports.ts";
import { ask, type ProbeTls, type Question } from "./probe.ts";
import type { RedisProgram } from "./redis.ts";
import { serverDir, type ServerProcess } from "./server.ts";

export interface RedisSentinelsOptions {
  /** Default: Redis, the preferred suite first. */
  program?: RedisProgram | undefined;
  suite?: Suite | undefined;
  /** Keep every write over a kill -9. Default false. */
  persistent?: boolean | undefined;
  /** That of the servers. */
  password?: string | undefined;
  /** That of the sentinels. */
  sentinelPassword?: string;
  /** TLS everywhere. */
  tls?: boolean;
  /** After how long without an answer a server is down, in ms; default 1,500: a busy machine must not seem dead. */
  downAfter?: number;
  /** More lines of the configuration of every server. */
  settings?: readonly string[];
}

const NAME = "mymaster";
const SERVERS = 3;
const SENTINELS = 3;

/** A master, two replicas, and three sentinels that watch over them. */
export class RedisSentinels extends Cluster {
  readonly #query: string;
  readonly #user: string;
  readonly #scheme: string;

  constructor(specs: readonly NodeSpec[], url: { scheme: string; user: string; query: string }) {
    super("redis with sentinels", specs);
    this.#scheme = url.scheme;
    this.#user = url.user;
    this.#query = url.query;
  }

  /** The servers, without the sentinels; at first the first one is the master. */
  get servers(): readonly ServerProcess[] {
    return this.nodes.slice(0, SERVERS);
  }

  get sentinels(): readonly ServerProcess[] {
    return this.nodes.slice(SERVERS);
  }

  override get url(): string {
    const hosts = this.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",");
    return `${this.#scheme}://${this.#user}${hosts}?sentinel=${NAME}${this.#query}`;
  }

  /** The same sentinels, and the first server reached through another port. */
  override urlAt(port: number): string {
    return `${this.url}&nat=127.0.0.1:${this.port}=127.0.0.1:${port}`;
  }
}

/** Starts them; `await using` ends them. */
export async function startRedisSentinels(options: RedisSentinelsOptions = {}): Promise<RedisSentinels> {
  const ports = await freePorts(SERVERS + SENTINELS);
  const dirs = ports.map(() => serverDir("redis"));
  const authority = options.tls ? new Authority(join(dirs[0] ?? "", "tls"), true) : undefined;
  const shape: Shape = {
    options,
    ports,
    ids: ports.map(() => randomBytes(20).toString("hex")),
    authority,
    probe: authority?.probe(),
  };
  const specs = ports.map((port, i) => node(shape, { port, dir: dirs[i] ?? "", isSentinel: i >= SERVERS }));
  const { password, sentinelPassword } = options;
  const cluster = new RedisSentinels(specs, {
    scheme: authority ? "rediss" : "redis",
    user: password === undefined ? "" : `:${encodeURIComponent(password)}@`,
    query: [
      authority ? `&${authority.query()}` : "",
      sentinelPassword === undefined ? "" : `&sentinelPassword=${encodeURIComponent(sentinelPassword)}`,
    ].join(""),
  });
  try {
    return await cluster.start();
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** What all nodes have in common. */
interface Shape {
  readonly options: RedisSentinelsOptions;
  readonly ports: readonly number[];
  readonly ids: readonly string[];
  readonly authority: Authority | undefined;
  readonly probe: ProbeTls | undefined;
}

interface Node {
  readonly port: number;
  readonly dir: string;
  readonly isSentinel: boolean;
}

function node(shape: Shape, { port, dir, isSentinel }: Node): NodeSpec {
  const { program = "redis-server", suite } = shape.options;
  const { file, env } = requireBinary(program, suite);
  const config = join(dir, "redis.conf");
  const lines = isSentinel ? sentinelLines(shape, port) : serverLines(shape, port);
  writeFileSync(config, [...commonLines(shape, port), `dir ${dir}`, ...lines, ""].join("\n"));
  const { password, sentinelPassword } = shape.options;
  const secret = isSentinel ? sentinelPassword : password;
  const login = secret === undefined ? "" : `AUTH ${JSON.stringify(secret)}\r\n`;
  const question = (send: string, expect: RegExp): Question => ({ send: `${login}${send}\r\n`, expect });
  return {
    name: isSentinel ? "redis sentinel" : "redis",
    port,
    dir,
    command: [file, config, ...isSentinel ? ["--sentinel"] : []],
    env,
    probe: () => ask(port, question("PING", /\+PONG/), 1000, shape.probe),
    url: (reached) => `redis://127.0.0.1:${reached}`,
    leads: async () => !isSentinel && isMaster(await ask(port, question("ROLE", ROLE), 1000, shape.probe)),
    peer: { ports: [] },
  };
}

const ROLE = /\$\d+\r\n(master|slave)/;

function isMaster(answer: string): boolean {
  return ROLE.exec(answer)?.[1] === "master";
}

function commonLines({ authority }: Shape, port: number): string[] {
  if (!authority) return [`port ${port}`, "bind 127.0.0.1"];
  const { cert, key } = authority.sign();
  return [
    ...["port 0", `tls-port ${port}`, "bind 127.0.0.1", "tls-replication yes", "tls-auth-clients yes"],
    ...[`tls-cert-file ${cert}`, `tls-key-file ${key}`, `tls-ca-cert-file ${authority.ca}`],
  ];
}

function serverLines({ options, ports }: Shape, port: number): string[] {
  const { persistent = false, password, settings = [] } = options;
  const [master] = ports;
  return [
    'save ""',
    "repl-diskless-sync-delay 0",
    ...persistent ? ["appendonly yes", "appendfsync always"] : [],
    ...password === undefined
      ? []
      : ["requirepass", "masterauth"].map((word) => `${word} ${JSON.stringify(password)}`),
    ...port === master ? [] : [`replicaof 127.0.0.1 ${master}`],
    ...settings,
  ];
}

/** They are told what they would find out of each other within seconds. */
function sentinelLines({ options, ports, ids }: Shape, port: number): string[] {
  const { password, sentinelPassword, downAfter = 1_500 } = options;
  const [master, ...replicas] = ports.slice(0, SERVERS);
  const others = ports.map((each, i) => `${each} ${ids[i]}`).slice(SERVERS);
  const own = ids[ports.indexOf(port)];
  return [
    ...sentinelPassword === undefined ? [] : [`requirepass ${JSON.stringify(sentinelPassword)}`],
    ...sentinelPassword === undefined ? [] : [`sentinel sentinel-pass ${JSON.stringify(sentinelPassword)}`],
    `sentinel myid ${own}`,
    `sentinel monitor ${NAME} 127.0.0.1 ${master} 2`,
    `sentinel down-after-milliseconds ${NAME} ${downAfter}`,
    `sentinel failover-timeout ${NAME} 3000`,
    ...password === undefined ? [] : [`sentinel auth-pass ${NAME} ${JSON.stringify(password)}`],
    ...replicas.map((replica) => `sentinel known-replica ${NAME} 127.0.0.1 ${replica}`),
    ...others.filter((other) => !other.endsWith(own ?? "")).map((other) =>
      `sentinel known-sentinel ${NAME} 127.0.0.1 ${other}`
    ),
  ];
}
