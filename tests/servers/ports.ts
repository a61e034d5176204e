import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { isRunning } from "./process_tree.ts";

/** Below the range that the system takes outgoing connections from, else a client's own port could be in the way. */
const LOWEST = 12_000;
const HIGHEST = 32_000;

/** A file for each port that was given, with the process that has it: servers are started again on their port. */
export const CLAIMS: string = join(tmpdir(), `coord-ports-${userInfo().username}`);

const given = new Set<number>();

/** Whether no process has it; from then on it is this one's. */
export function claim(port: number): boolean {
  if (given.has(port)) return false;
  const file = join(CLAIMS, String(port));
  try {
    mkdirSync(CLAIMS, { recursive: true });
    writeFileSync(file, String(process.pid), { flag: "wx" });
  } catch {
    // That of a dead process goes; the port is for the next who comes by it.
    const owner = ownerOf(file);
    if (owner > 0 && !isRunning(owner)) rmSync(file, { force: true });
    return false;
  }
  given.add(port);
  return true;
}

/** 0 where the file is just being written, or has gone. */
function ownerOf(file: string): number {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return 0;
  }
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    // On all addresses: the nodes of a cluster meet on others than 127.0.0.1.
    server.listen({ port, host: "0.0.0.0", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A port that nobody listens on, and that no process which lives still was given before. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (claim(port) && await canBind(port)) return port;
  }
  throw new Error("Cannot find a free port: 1000 random ones are taken");
}

/** Several ports at once, for a server that listens on more than one. */
export function freePorts(count: number): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, freePort));
}
