import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import process from "node:process";
import { codeOf } from "../../internal/files/failure.ts";
import { type Layout, layoutOf } from "../../internal/files/layout.ts";
import { encodeName } from "../../internal/files/names.ts";
import { failures } from "./failure.ts";

/** Magic numbers of file systems whose locks may not reach every client: statfs(2). */
const NETWORKS: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xfe534d42, "SMB"],
  [0xff534d42, "CIFS"],
  [0x01021997, "9P"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x01161970, "GFS2"],
  [0x7461636f, "OCFS2"],
  [0x47504653, "GPFS"],
  [0x65735546, "FUSE"],
  [0x19830326, "BeeGFS"],
]);

/** So many tokens are reserved at once, since each time costs a write to the disk. */
const BLOCK = 65_536n;

/** The directory of this user where the URL names none. */
export function defaultDirectory(): string {
  return failures.attempt("choose a directory (give one: file:///path)", () => {
    const user = process.getuid?.() ?? os.userInfo().username;
    return path.join(os.tmpdir(), `tooz-coord-${user}`);
  });
}

/** Makes the directory of a namespace, or says why they cannot be used. */
export function prepare(
  directory: string | undefined,
  options: { namespace: string; allowNetwork: boolean },
): Layout {
  const base = directory ?? defaultDirectory();
  const layout = layoutOf(path.join(base, encodeName(options.namespace)), BLOCK);
  failures.attempt(`use directory ${JSON.stringify(base)}`, () => {
    makeDirectory(base, directory === undefined ? 0o700 : 0o777);
    if (directory === undefined) refuseForeign(base);
    if (!options.allowNetwork) refuseNetwork(base);
    makeDirectory(layout.root);
  });
  return layout;
}

/** Makes a directory, and those above it, unless it is there. */
function makeDirectory(path: string, mode = 0o777): void {
  try {
    fs.mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    // Asked for all of them, Node calls a read-only file system a missing file.
    if (codeOf(error) === "ENOENT") fs.mkdirSync(path, mode);
    throw error;
  }
}

/** Anybody may make a directory in /tmp, so that its owner could change what we trust. */
function refuseForeign(base: string): void {
  const { uid, mode } = fs.statSync(base);
  if (uid !== process.getuid?.() || (mode & 0o022) !== 0) {
    const advice =
      "it belongs to another user, or others may write to it; give a directory of your own: file:///path";
    throw failures.refuse(`use directory ${JSON.stringify(base)}`, advice);
  }
}

function refuseNetwork(base: string): void {
  // Elsewhere the numbers mean something else.
  if (process.platform !== "linux") return;
  const network = NETWORKS.get(Number(fs.statfsSync(base).type) >>> 0);
  if (network !== undefined) {
    const advice =
      `its locks on ${network} may not hold between hosts; use a local disk, or allowNetwork: true for one host`;
    throw failures.refuse(`use directory ${JSON.stringify(base)}`, advice);
  }
}
