import { join } from "node:path";
import { requireBinary } from "./binaries.ts";
import { Authority, type Particulars } from "./certificates.ts";
import { type Cluster, type ClusterOptions, type NodeSpec, startCluster } from "./cluster.ts";
import { PEER_HOST } from "./peer_network.ts";
import { freePorts } from "./ports.ts";
import { ask, httpGet, httpSend, type Question } from "./probe.ts";
import { serverDir, type ServerProcess, startServer } from "./server.ts";

export interface ConsulOptions {
  /** Speaks TLS only, with clients that have a certificate of the same authority; what is special about its own. */
  tls?: boolean | Particulars;
  args?: readonly string[];
}

export interface ConsulServerOptions extends ConsulOptions {
  /** A token that may do everything; without it nothing is permitted. Default: everybody may do everything. */
  token?: string | undefined;
}

const CONFIG = `
  performance { raft_multiplier = 1 }
  session_ttl_min = "1s"
  disable_update_check = true
  # The members of a whole test run have one address.
  limits { http_max_conns_per_client = 10000 }
  # A node that was killed stays a member, and is one again as soon as it is back.
  autopilot { cleanup_dead_servers = false }
`;

/**
 * Starts a single Consul server of its own; its data outlive a kill -9. `await using` ends it. It takes one to two
 * seconds each time: so long it waits for the word of another leader, and nothing but the mode without data shortens
 * that.
 */
export async function startConsul(options: ConsulServerOptions = {}): Promise<ServerProcess> {
  const [node] = await nodes(1, options);
  if (!node) throw new Error("Cannot start Consul: there is no node");
  return await startServer(node);
}

/** Starts three servers that are one; their data outlive a kill -9. */
export async function startConsulCluster(options: ConsulOptions & ClusterOptions = {}): Promise<Cluster> {
  return await startCluster("consul cluster", await nodes(3, options), options);
}

async function nodes(count: number, options: ConsulServerOptions & ClusterOptions): Promise<NodeSpec[]> {
  const { file, env } = requireBinary("consul");
  const { token, tls = false, isolatable = false, args = [] } = options;
  const host = isolatable ? PEER_HOST : "127.0.0.1";
  const [ports, rpcPorts, gossipPorts] = [
    await freePorts(count),
    await freePorts(count),
    await freePorts(count),
  ];
  const word = JSON.stringify(token);
  const rules = token === undefined
    ? ""
    : `acl { enabled = true default_policy = "deny" tokens { master = ${word} agent = ${word} } }`;
  const common = [
    ...["agent", "-server", `-bootstrap-expect=${count}`, "-client=127.0.0.1", "-bind=127.0.0.1"],
    ...[`-advertise=${host}`, "-serf-wan-port=-1", "-dns-port=-1", "-grpc-port=-1", "-log-level=warn"],
    ...["-retry-interval=200ms", `-hcl=${CONFIG}${rules}`],
    ...count > 1 ? gossipPorts.map((port) => `-retry-join=${host}:${port}`) : [],
  ];
  const user = token === undefined ? "" : `:${encodeURIComponent(token)}@`;
  const query = token === undefined ? "" : `&token=${encodeURIComponent(token)}`;
  return ports.map((port, index) => {
    const [rpc = 0, gossip = 0, dir] = [rpcPorts[index], gossipPorts[index], serverDir("consul")];
    const authority = tls ? new Authority(join(dir, "tls"), tls) : undefined;
    const [probeTls, files] = authority ? [authority.probe(), `?${authority.query()}`] : [undefined, ""];
    const listen = authority ? secure(port, authority) : [`-http-port=${port}`];
    const places = [`-data-dir=${dir}/data`, ...listen, `-server-port=${rpc}`];
    const names = [`-node=node${index}`, `-serf-lan-port=${gossip}`];
    return {
      name: "consul",
      port,
      dir,
      command: [file, ...common, ...places, ...names, ...args],
      env,
      probe: () =>
        ask(port, httpGet(`/v1/kv/ready?consistent${query}`, /^HTTP\/1\.1 (200|404)/), 1000, probeTls),
      url: (reached) => `${authority ? "consul+https" : "consul"}://${user}127.0.0.1:${reached}${files}`,
      leads: async () => (await ask(port, httpGet("/v1/status/leader", /"\S+:\d+"/))).includes(`:${rpc}"`),
      peer: { ports: [rpc, gossip], datagrams: gossip },
      // By itself a node looks for one that it thinks dead twice a minute.
      rejoin: () => ask(port, joinNode(`${host}:${gossipPorts[(index + 1) % count]}`), 10_000),
    };
  });
}

function secure(port: number, authority: Authority): string[] {
  const { cert, key } = authority.server;
  const files = `cert_file = "${cert}" key_file = "${key}" ca_file = "${authority.ca}"`;
  return [`-hcl=ports { http = -1 https = ${port} } ${files} verify_incoming_https = true`];
}

/** Resolves whatever comes of it: the other node may be dead indeed. */
function joinNode(address: string): Question {
  return httpSend(`PUT /v1/agent/join/${address}`, { body: "", expect: /^HTTP/ });
}
