import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, loadavg, platform, release } from "node:os";
import process from "node:process";
import { currentRuntime } from "../tests/processes/runtimes.ts";
import { type BenchedBackend, serverVersion } from "./backends.ts";

/** Without these, a number means nothing. */
export interface Facts {
  readonly date: string;
  readonly cpu: string;
  readonly system: string;
  /** Processes that wanted to run in the minute before: well above the bench's own two, the ratios tell little. */
  readonly load: number;
  readonly runtime: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** The client libraries that drivers use. */
const CLIENTS = ["ioredis", "node-zookeeper-client", "etcd3", "consul"];

function packageVersion(name: string): string {
  const manifest = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  const { version }: { version: string } = JSON.parse(readFileSync(manifest, "utf8"));
  return version;
}

export function gatherFacts(backends: readonly BenchedBackend[]): Facts {
  const servers = backends.flatMap((backend) => {
    const version = serverVersion(backend);
    return version === undefined ? [] : [[backend.name, version]];
  });
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: `${availableParallelism()} x ${cpus()[0]?.model.trim() || "unknown"}`,
    system: `${platform()} ${release()} ${arch()}`,
    load: loadavg()[0] ?? NaN,
    runtime: `${currentRuntime} ${process.versions[currentRuntime] ?? ""}`,
    versions: Object.fromEntries([...CLIENTS.map((name) => [name, packageVersion(name)]), ...servers]),
  };
}
