import { existsSync, readdirSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** How to start a server program: the file, and what its environment needs for its libraries to be found. */
export interface Binary {
  readonly file: string;
  readonly env: Record<string, string>;
}

const FETCHED = fileURLToPath(new URL("../../.servers", import.meta.url));

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

function fetched(name: string): Binary | undefined {
  if (!existsSync(FETCHED)) return undefined;
  for (const suite of readdirSync(FETCHED).filter((entry) => /^[a-z]+$/.test(entry)).sort()) {
    const prefix = `${FETCHED}/${suite}`;
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

/** The program among those that tools/fetch_servers.sh unpacked, else on PATH, else undefined. */
export function findBinary(name: string): Binary | undefined {
  return fetched(name) ?? installed(name);
}

/** Like {@linkcode findBinary}, for a server that must be there. */
export function requireBinary(name: string): Binary {
  const binary = findBinary(name);
  if (!binary) throw new Error(`Cannot start "${name}": it is neither in .servers nor on PATH`);
  return binary;
}
