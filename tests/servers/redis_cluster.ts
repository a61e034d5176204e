import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { requireBinary, type Suite } from "./binaries.ts";
import { Cluster, type NodeSpec } from "./cluster.ts";
import { freePorts } from "./ports.ts";
import { ask } from "./probe.ts";
import type { RedisProgram } from "./redis.ts";
import { serverDir, type ServerProcess } from "./server.ts";

export interface RedisClusterOptions {
  /** Default: Redis, the preferred suite first. */
  program?: RedisProgram | undefined;
  suite?: Suite | undefined;
  /** Keep every write over a kill -9. Default false. */
  persistent?: boolean | undefined;
  password?: string | undefined;
  /** How many replicas each master has; default 0. */
  replicas?: number;
  /** Gives all slots to the first node, so that what is before it is before all. Default false. */
  lopsided?: boolean;
  /** After how long without an answer a node is down, in ms; default 1,500. */
  nodeTimeout?: number;
}

const MASTERS = 3;
const SLOTS = 16_384;

/** Three masters, with or without replicas. */
export class RedisCluster extends Cluster {
  readonly #user: string;

  constructor(specs: readonly NodeSpec[], user: string) {
    super("redis cluster", specs);
    this.#user = user;
  }

  /** Those that are masters at first. */
  get masters(): readonly ServerProcess[] {
    return this.nodes.slice(0, MASTERS);
  }

  override get url(): string {
    return `redis://${this.#user}${this.nodes.map(({ port }) => `127.0.0.1:${port}`)}?cluster=true`;
  }

  /** The same nodes, and the first one reached through another port. */
  override urlAt(port: number): string {
    return `${this.url}&nat=127.0.0.1:${this.port}=127.0.0.1:${port}`.replace(`127.0.0.1:${this.port},`, "");
  }
}

/** Starts one; `await using` ends it. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const { replicas = 0, password } = options;
  const ports = await freePorts(2 * MASTERS * (1 + replicas));
  const half = ports.length / 2;
  const members = ports.slice(0, half).map((port, i): Member => ({
    id: randomBytes(20).toString("hex"),
    port,
    bus: ports[half + i] ?? 0,
    dir: serverDir("redis"),
    role: i % MASTERS,
    isReplica: i >= MASTERS,
  }));
  const user = password === undefined ? "" : `:${encodeURIComponent(password)}@`;
  const cluster = new RedisCluster(members.map((member) => node(member, members, options)), user);
  try {
    return await cluster.start();
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

interface Member {
  readonly id: string;
  readonly port: number;
  readonly bus: number;
  readonly dir: string;
  /** Which of the masters it is, or follows. */
  readonly role: number;
  readonly isReplica: boolean;
}

function node(member: Member, all: readonly Member[], options: RedisClusterOptions): NodeSpec {
  const { program = "redis-server", suite, password, persistent = false, nodeTimeout = 1_500 } = options;
  const { file, env } = requireBinary(program, suite);
  const { port, bus, dir } = member;
  // What they would find out of each other within seconds.
  const known = all.map((each) => line(each, all, { isOwn: each === member, ...options }));
  writeFileSync(join(dir, "nodes.conf"), [...known, "vars currentEpoch 3 lastVoteEpoch 0", ""].join("\n"));
  const settings = [
    ["--port", `${port}`, "--cluster-port", `${bus}`, "--bind", "127.0.0.1", "--dir", dir, "--save", ""],
    ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"],
    ["--cluster-node-timeout", `${nodeTimeout}`, "--repl-diskless-sync-delay", "0"],
    persistent ? ["--appendonly", "yes", "--appendfsync", "always"] : [],
    password === undefined ? [] : ["--requirepass", password, "--masterauth", password],
  ];
  const login = password === undefined ? "" : `AUTH ${password}\r\n`;
  return {
    name: "redis cluster node",
    port,
    dir,
    command: [file, ...settings.flat()],
    env,
    probe: () => ask(port, { send: `${login}CLUSTER INFO\r\n`, expect: /cluster_state:ok/ }),
    url: (reached) => `redis://127.0.0.1:${reached}`,
    leads: () => Promise.resolve(port === all[0]?.port),
    peer: { ports: [] },
  };
}

/** A node as it stands in the file of another, or in its own. */
function line(
  { id, port, bus, role, isReplica }: Member,
  all: readonly Member[],
  { isOwn, lopsided = false }: { isOwn: boolean; lopsided?: boolean },
): string {
  const share = Math.ceil(SLOTS / MASTERS);
  const slots = lopsided
    ? role === 0 ? `0-${SLOTS - 1}` : ""
    : `${role * share}-${Math.min((role + 1) * share, SLOTS) - 1}`;
  const what = `${isOwn ? "myself," : ""}${isReplica ? `slave ${all[role]?.id}` : "master -"}`;
  return `${id} 127.0.0.1:${port}@${bus} ${what} 0 0 ${role + 1} connected ${isReplica ? "" : slots}`.trim();
}
