import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Socket } from "node:net";

function hex(port = 0): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}

interface Entry {
  readonly local: string;
  readonly remote: string;
  readonly state: string;
  readonly inode: string;
}

/** The IPv4 TCP sockets of this machine; addresses and ports are in hexadecimal. */
function entries(): Entry[] {
  return readFileSync("/proc/net/tcp", "utf8").trim().split("\n").slice(1).map((line) => {
    const [, local = "", remote = "", state = "", , , , , , inode = ""] = line.trim().split(/\s+/);
    return { local, remote, state, inode };
  });
}

/** Whether somebody listens on a port of 127.0.0.1, without a connection that he would see. */
export function isListening(port: number): boolean {
  return entries().some(({ local, state }) => local === `0100007F:${hex(port)}` && state === "0A");
}

function hasOpen(pid: number, inode: string): boolean {
  try {
    const files = readdirSync(`/proc/${pid}/fd`);
    return files.some((file) => readlink(`/proc/${pid}/fd/${file}`) === `socket:[${inode}]`);
  } catch {
    return false; // The process is gone.
  }
}

function readlink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // It was closed while we looked.
  }
}

/** Which of the processes has the other end of an IPv4 connection to us, as an index; undefined when none has. */
export function ownerOf(socket: Socket, pids: readonly (number | undefined)[]): number | undefined {
  const { remotePort, localPort } = socket;
  const entry = entries().find(({ local, remote }) =>
    local.endsWith(`:${hex(remotePort)}`) && remote.endsWith(`:${hex(localPort)}`)
  );
  const index = pids.findIndex((pid) => entry && pid !== undefined && hasOpen(pid, entry.inode));
  return index < 0 ? undefined : index;
}
