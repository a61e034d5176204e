import type { Characteristic } from "../../characteristics.ts";

const CONSENSUS: readonly Characteristic[] = [
  "FAIR",
  "PUSHED_LOCKS",
  "PUSHED_WATCHES",
  "DURABLE_FENCING",
  "LOSS_BEFORE_REGRANT",
];
const SQL: readonly Characteristic[] = [
  "FAIR",
  "PUSHED_LOCKS",
  "PUSHED_WATCHES",
  "CRASH_RELEASE",
  "NON_TIMEOUT_BASED",
  "DURABLE_FENCING",
];
const KERNEL: readonly Characteristic[] = ["FAIR", "PUSHED_LOCKS", "CRASH_RELEASE", "NON_TIMEOUT_BASED"];

/** What each of our drivers must promise at least: one that lacks something fails the cases that need it. */
export const REQUIRED: Readonly<Record<string, readonly Characteristic[]>> = {
  etcd: CONSENSUS,
  zookeeper: CONSENSUS,
  consul: CONSENSUS,
  redis: ["FAIR", "PUSHED_LOCKS", "PUSHED_WATCHES"],
  postgresql: SQL,
  mysql: SQL,
  file: [...KERNEL, "DURABLE_FENCING"],
  ipc: KERNEL,
  memcached: ["FAIR"],
  zake: ["FAIR", "PUSHED_LOCKS", "PUSHED_WATCHES"],
};
