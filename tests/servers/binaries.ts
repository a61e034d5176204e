import { existsSync, readdirSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** A Debian release that tools/fetch_servers.sh takes servers from. */
export type Suite = "bookworm" | "bullseye" | "trixie" | "sid";

/** How to start a server program: the file, and what its environment needs for its libraries to be found. */
export interface Binary {
  readonly file: string;
  readonly env: Record<string, string>;
}

const FETCHED = fileURLToPath(new URL("../../.servers", import.meta.url));

/** In the order of preference, for what several have. */
const SUITES: readonly Suite[] = ["bookworm", "bullseye", "trixie", "sid"];

/** Where the servers of a suite were unpacked; without a suite all such places, the preferred first. */
export function fetchedFolders(suite?: Suite): string[] {
  return SUITES.filter((each) => suite === undefined || each === suite).map((each) => `${FETCHED}/${each}`);
}

function libraries(prefix: string): string {
  const folders: string[] = [];
  for (const lib of [`${prefix}/usr/lib`, `${prefix}/lib`]) {
    if (!existsSync(lib)) continue;
    folders.push(
      ...readdirSync(lib).filter((name) => name.endsWith("-linux-gnu")).map((name) => `${lib}/${name}`),
    );
  }
  return folders.join(":");
}

function fetched(name: string, suite?: Suite): Binary | undefined {
  for (const prefix of fetchedFolders(suite)) {
    const file = [`${prefix}/usr/bin/${name}`, `${prefix}/usr/sbin/${name}`].find((path) => existsSync(path));
    if (file) return { file, env: { LD_LIBRARY_PATH: libraries(prefix) } };
  }
  return undefined;
}

function installed(name: string): Binary | undefined {
  const folders = (process.env.PATH ?? "").split(":").filter((folder) => folder !== "");
  const folder = folders.find((candidate) => existsSync(`${candidate}/${name}`));
  return folder === undefined ? undefined : { file: `${folder}/${name}`, env: {} };
}

/**
 * The program among those that tools/fetch_servers.sh unpacked, else on PATH, else undefined. With a suite: that of the
 * suite or none.
 */
export function findBinary(name: string, suite?: Suite): Binary | undefined {
  return fetched(name, suite) ?? (suite === undefined ? installed(name) : undefined);
}

/** Like {@linkcode findBinary}, for a server that must be there. */
export function requireBinary(name: string, suite?: Suite): Binary {
  const binary = findBinary(name, suite);
  if (binary) return binary;
  const where = suite === undefined ? "neither in .servers nor on PATH" : `not in .servers/${suite}`;
  throw new Error(`Cannot start "${name}": it is ${where}`);
}
