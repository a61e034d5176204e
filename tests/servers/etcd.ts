import { requireBinary } from "./binaries.ts";
import { freePorts } from "./ports.ts";
import { ask, httpGet } from "./probe.ts";
import { type Server, serverDir, startServer } from "./server.ts";

export interface EtcdServerOptions {
  args?: readonly string[];
}

/** Starts a single etcd of its own; its data outlive a kill -9. `await using` ends it. */
export async function startEtcd(options: EtcdServerOptions = {}): Promise<Server> {
  const { file, env } = requireBinary("etcd");
  const [port = 0, peerPort = 0] = await freePorts(2);
  const dir = serverDir("etcd");
  const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
  const flags: Record<string, string> = {
    name: "single",
    "data-dir": `${dir}/data`,
    "listen-client-urls": client,
    "advertise-client-urls": client,
    "listen-peer-urls": peer,
    "initial-advertise-peer-urls": peer,
    "initial-cluster": `single=${peer}`,
    // A restarted etcd answers only after an election, so this is also how long a restart takes.
    "heartbeat-interval": "20",
    "election-timeout": "100",
  };
  const words = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  return await startServer({
    name: "etcd",
    port,
    dir,
    // What was written survives the process, if not the machine: enough for kill -9, and ten times as fast.
    command: [file, ...words, "--unsafe-no-fsync", ...options.args ?? []],
    env,
    probe: () => ask(port, httpGet("/health", /"health":\s*"true"/)),
    url: (reached) => `etcd://127.0.0.1:${reached}`,
  });
}
