import { randomBytes } from "node:crypto";
import { post } from "../../internal/files/bell.ts";
import type { Wires } from "../../internal/files/context.ts";
import { removeIfUnused } from "./directory.ts";
import { isAlive } from "../../internal/files/liveness.ts";
import type { ProcessBell } from "./process_bell.ts";
import type { IpcLayout, Tools } from "./tools.ts";
import { Watchers } from "./watchers.ts";

/** Sessions that ring each other: a line in the session's file says why, a post to its process's semaphore wakes. */
export function ipcWires(
  tools: Tools,
  layout: IpcLayout,
  { bell, goOut }: { bell: ProcessBell; goOut: () => boolean },
): Wires {
  const ring: Wires["ring"] = (sid, message) => {
    post(tools.disk, layout.sessions, { sid, ...message });
    bell.ring(sid);
  };
  const watchers = new Watchers(tools.disk, layout.watches, (sid, key) => {
    ring(sid, { reason: "watch", key });
    // What is written to the dead, nobody reads.
    return isAlive(tools.platform, layout.sessions, sid);
  });
  return {
    newSid: () => bell.id + randomBytes(6).toString("hex"),
    ring,
    listen: (_path, fn) => bell.listen(fn),
    watch: (sid, { key }, fn) => watchers.add(sid, key, fn),
    // Of locks nobody watches the holder but to look at it: an uncontended one is not to pay for that.
    changed: (key) => key.startsWith("lock/") || watchers.changed(key),
    hear: (key) => watchers.hear(key),
    missing: () => bell.missing(),
    async leave(epoch) {
      try {
        if (goOut()) removeIfUnused(tools, layout.root, epoch);
      } catch {
        // The next user finds it.
      }
      await bell.leave();
    },
  };
}
