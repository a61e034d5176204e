import { join } from "node:path";
import { requireBinary, type Suite } from "./binaries.ts";
import { Authority, type Particulars } from "./certificates.ts";
import { type Cluster, type ClusterOptions, type NodeSpec, startCluster } from "./cluster.ts";
import { PEER_HOST } from "./peer_network.ts";
import { freePorts } from "./ports.ts";
import { ask, httpGet, httpSend, type ProbeTls } from "./probe.ts";
import { serverDir, type ServerProcess, startServer } from "./server.ts";

export interface EtcdOptions {
  /** bullseye has 3.3, bookworm 3.4, sid 3.5. Default: what there is, bookworm first. */
  suite?: Suite | undefined;
  /** Speaks TLS only, with clients that have a certificate of the same authority; what is special about its own. */
  tls?: boolean | Particulars;
  args?: readonly string[];
}

export interface EtcdServerOptions extends EtcdOptions {
  /** That of the user "root", without which nothing can be read or written. Default: everybody may. */
  password?: string | undefined;
}

/** Not as flags: a version that does not know one of these goes on without it. */
const SPEED = {
  // What was written survives the process, if not the machine: enough for kill -9, and ten times as fast.
  ETCD_UNSAFE_NO_FSYNC: "true",
  // A login is to cost little: hundreds of members log in.
  ETCD_BCRYPT_COST: "4",
};

/** Starts a single etcd of its own; its data outlive a kill -9. `await using` ends it. */
export async function startEtcd(options: EtcdServerOptions = {}): Promise<ServerProcess> {
  const { password } = options;
  // A restarted etcd answers only after an election, so this is also how long a restart takes.
  const timing = { "heartbeat-interval": "20", "election-timeout": "100" };
  const [node] = await nodes(1, timing, options);
  if (!node) throw new Error("Cannot start etcd: there is no node");
  const user = password === undefined ? "" : `root:${encodeURIComponent(password)}@`;
  const url = (reached: number) => node.url(reached).replace("://", `://${user}`);
  const server = await startServer({ ...node, url });
  if (password !== undefined) {
    await protect(server.port, password, { tls: node.probeTls, api: apiOf(options.suite) });
  }
  return server;
}

/** Starts three of them that are one; their data outlive a kill -9. */
export async function startEtcdCluster(options: EtcdOptions & ClusterOptions = {}): Promise<Cluster> {
  // A machine that is busy must not seem dead.
  const timing = { "heartbeat-interval": "50", "election-timeout": "500" };
  return await startCluster("etcd cluster", await nodes(3, timing, options), options);
}

/** What paths begin with that are asked over HTTP. */
function apiOf(suite: Suite | undefined): string {
  return suite === "bullseye" ? "v3beta" : "v3";
}

interface EtcdNode extends NodeSpec {
  readonly probeTls: ProbeTls | undefined;
}

async function nodes(
  count: number,
  timing: Record<string, string>,
  options: EtcdOptions & ClusterOptions,
): Promise<EtcdNode[]> {
  const { file, env } = requireBinary("etcd", options.suite);
  const host = options.isolatable ? PEER_HOST : "127.0.0.1";
  const [ports, peerPorts] = [await freePorts(count), await freePorts(count)];
  const members = peerPorts.map((peerPort, index) => `node${index}=http://${host}:${peerPort}`).join(",");
  return ports.map((port, index) => {
    const [peerPort = 0, dir] = [peerPorts[index], serverDir("etcd")];
    const authority = options.tls ? new Authority(join(dir, "tls"), options.tls) : undefined;
    const client = `${authority ? "https" : "http"}://127.0.0.1:${port}`;
    const [probeTls, query] = authority ? [authority.probe(), `?${authority.query()}`] : [undefined, ""];
    const flags: Record<string, string> = {
      ...timing,
      name: `node${index}`,
      "data-dir": `${dir}/data`,
      "listen-client-urls": client,
      "advertise-client-urls": client,
      "listen-peer-urls": `http://127.0.0.1:${peerPort}`,
      "initial-advertise-peer-urls": `http://${host}:${peerPort}`,
      "initial-cluster": members,
      ...authority ? secure(authority) : {},
    };
    const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    return {
      name: "etcd",
      port,
      dir,
      command: [file, ...words, ...options.args ?? []],
      env: { ...env, ...SPEED },
      // It answers so only after a linearizable read.
      probe: () => ask(port, httpGet("/health", /"health":\s*"true"/), 1000, probeTls),
      probeTls,
      url: (reached) => `${authority ? "etcd3+https" : "etcd"}://127.0.0.1:${reached}${query}`,
      leads: () => leads(port, apiOf(options.suite)),
      peer: { ports: [peerPort] },
    };
  });
}

function secure(authority: Authority): Record<string, string> {
  const { cert, key } = authority.server;
  return {
    "cert-file": cert,
    "key-file": key,
    "trusted-ca-file": authority.ca,
    "client-cert-auth": "true",
  };
}

async function leads(port: number, api: string): Promise<boolean> {
  const status = httpSend(`POST /${api}/maintenance/status`, {
    body: "{}",
    expect: /"leader":\s*"\d+"[\s\S]*\}/,
  });
  const answer = await ask(port, status);
  const id = (name: string) => new RegExp(`"${name}":\\s*"(\\d+)"`).exec(answer)?.[1];
  return id("leader") === id("member_id");
}

/** Who is let in besides the user "root", and how. */
export interface Protection {
  readonly tls?: ProbeTls | undefined;
  /** What paths begin with that are asked over HTTP; default: v3, which the servers from 3.4 on have. */
  readonly api?: string;
  /** What the user "coord", with password "s3cr3t", may do; default: there is none. */
  readonly rights?: { readonly key: string; readonly range_end: string; readonly permType: string };
}

/** Lets nobody in any more but the user "root" with this password, and whom else it says. */
export async function protect(port: number, password: string, protection: Protection = {}): Promise<void> {
  const { tls, api = "v3", rights } = protection;
  const say = (step: string, body: object) => {
    const request = { body: JSON.stringify(body), expect: /^HTTP\/1\.1 200/ };
    return ask(port, httpSend(`POST /${api}/auth/${step}`, request), 10_000, tls);
  };
  await say("user/add", { name: "root", password });
  await say("user/grant", { user: "root", role: "root" });
  if (rights) {
    await say("role/add", { name: "coord" });
    await say("role/grant", { name: "coord", perm: rights });
    await say("user/add", { name: "coord", password: "s3cr3t" });
    await say("user/grant", { user: "coord", role: "coord" });
  }
  await say("enable", {});
}
