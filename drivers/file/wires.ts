import { randomBytes } from "node:crypto";
import type { Clock } from "../../driver.ts";
import { post } from "../../internal/files/bell.ts";
import type { Wires } from "../../internal/files/context.ts";
import type { Disk } from "../../internal/files/disk.ts";
import type { Layout } from "../../internal/files/layout.ts";
import { subscribe } from "./subscribe.ts";

/** Sessions that hear of each other through the events of the file system: each change of a file is a ring. */
export function fileWires(disk: Disk, clock: Clock, { sessions }: Layout): Wires {
  return {
    newSid: () => randomBytes(12).toString("hex"),
    ring: (sid, message) => post(disk, sessions, { sid, ...message }),
    listen: (path, fn) => subscribe(path, clock, fn),
    watch: (_sid, { path }, fn) => subscribe(path, clock, fn),
    changed() {},
    hear() {},
    missing: () => undefined,
    leave() {},
  };
}
