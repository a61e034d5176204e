import { spawnSync } from "node:child_process";

/** What the gate starts is in these; the others have further versions. */
const GATE_SUITES = ["bookworm", "bullseye"];

/** Whether the servers could be had. Where not, those on PATH serve, and what lacks one is named as not run. */
export function fetchServers(which: "gate" | "all"): boolean {
  const suites = which === "gate" ? GATE_SUITES : [];
  return spawnSync("bash", ["tools/fetch_servers.sh", ...suites], { stdio: ["ignore", 2, 2] }).status === 0;
}
