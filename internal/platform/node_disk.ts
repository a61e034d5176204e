import * as fs from "node:fs";
import type { Disk } from "../files/disk.ts";

const { O_WRONLY, O_APPEND } = fs.constants;

/** Files and directories by `node:fs`. */
export const nodeDisk: Disk = {
  list: (path) => fs.readdirSync(path),
  makeDirectory: (path) => fs.mkdirSync(path),
  removeDirectory: (path) => fs.rmdirSync(path),
  remove: (path) => fs.unlinkSync(path),
  removeTree: (path) => fs.rmSync(path, { recursive: true, force: true }),
  rename: (from, to) => fs.renameSync(from, to),
  read: (path) => fs.readFileSync(path, "utf8"),
  write: (path, text, how) => fs.writeFileSync(path, text, { flag: how === "new" ? "wx" : "w" }),
  append,
  truncate: (path) => fs.truncateSync(path, 0),
  stampOf(path) {
    const stat = fs.statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat && { text: `${stat.ino} ${stat.mtimeNs} ${stat.size}`, modified: Number(stat.mtimeMs) };
  },
};

/** Without O_CREAT: a file made here would be of nobody. */
function append(path: string, text: string): void {
  const fd = fs.openSync(path, O_WRONLY | O_APPEND);
  try {
    fs.writeSync(fd, text);
  } finally {
    fs.closeSync(fd);
  }
}
