import { spawnSync } from "node:child_process";

/** Whether the servers could be had. Where not, those on PATH serve, and what lacks one is named as not run. */
export function fetchServers(): boolean {
  return spawnSync("bash", ["tools/fetch_servers.sh"], { stdio: ["ignore", 2, 2] }).status === 0;
}
