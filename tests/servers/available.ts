import { spawnSync } from "node:child_process";
import process from "node:process";
import { findBinary, type Suite } from "./binaries.ts";
import { findPostgresql } from "./postgresql.ts";
import { findZooKeeper } from "./zookeeper.ts";

interface Command {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** How to ask a server program for its version: ZooKeeper is no program, but a class path for Java. */
function versionCommand(name: string, suite?: Suite): Command | undefined {
  if (name === "zookeeper") {
    const classPath = findZooKeeper(suite);
    const words = ["java", "-cp", classPath ?? "", "org.apache.zookeeper.Version", "--full"];
    return classPath === undefined ? undefined : { words, env: {} };
  }
  if (name === "postgres") {
    const folder = findPostgresql(suite);
    return folder === undefined ? undefined : { words: [`${folder}/postgres`, "--version"], env: {} };
  }
  const binary = findBinary(name, suite);
  return binary && { words: [binary.file, "--version"], env: binary.env };
}

/** Whether a server can be started here: "redis-server", "etcd", "consul", "zookeeper", "postgres". */
export function hasServer(name: string, suite?: Suite): boolean {
  return versionCommand(name, suite) !== undefined;
}

/** A server program and its version, as it says itself, such as "etcd 3.4.23". */
export function versionOf(name: string, suite?: Suite): string {
  const command = versionCommand(name, suite);
  if (!command) return name;
  const [file = "", ...args] = command.words;
  const { stdout } = spawnSync(file, args, { encoding: "utf8", env: { ...process.env, ...command.env } });
  // Some begin with their path.
  const [version = ""] = /(?<![\w./])v?\d+(\.\d+)+/.exec(stdout.replace(/^\/\S*/, "")) ?? [];
  return `${name} ${version.replace(/^v/, "")}`;
}
