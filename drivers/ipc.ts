/**
 * The driver for one machine without a server and without a disk: named semaphores and locks of the kernel's in
 * /dev/shm, for Deno, Bun and Node alike.
 *
 * @module
 */
import type { Characteristic } from "../characteristics.ts";
import type { Backend, Opener, OpenOptions, Session } from "../driver.ts";
import { systemClock } from "../internal/clock.ts";
import { codeOf } from "../internal/files/failure.ts";
import { openSession } from "../internal/files/session.ts";
import { loadLibc } from "../internal/platform/libc.ts";
import { libcDisk } from "../internal/platform/libc_disk.ts";
import { ofdPlatform } from "../internal/platform/ofd.ts";
import { parseAddress, readOptions, redact } from "../internal/url.ts";
import { fineTime } from "./ipc/clock.ts";
import { prepare } from "./ipc/directory.ts";
import { DRIVER, failures } from "./ipc/failure.ts";
import { useBell } from "./ipc/process_bell.ts";
import { reclaim } from "./ipc/reclaim.ts";
import type { Tools } from "./ipc/tools.ts";
import { visit } from "./ipc/visits.ts";
import { ipcWires } from "./ipc/wires.ts";

export type { Backend };

/** Options of {@linkcode ipc}: it has none of its own. Those of a coordinator may stand in the URL. */
export type IpcOptions = Readonly<Record<never, never>>;

const CHARACTERISTICS: readonly Characteristic[] = [
  "DISTRIBUTED_ACROSS_THREADS",
  "DISTRIBUTED_ACROSS_PROCESSES",
  "NON_TIMEOUT_BASED",
  "FAIR",
  "PUSHED_LOCKS",
  "PUSHED_WATCHES",
  "CRASH_RELEASE",
];

/** How often opening begins anew because the last one out has just removed everything. */
const TRIES = 10;

/**
 * Coordinates the processes of one user on one Linux machine through /dev/shm. Nothing stays there once all have
 * closed; what killed processes leave, the next one removes.
 *
 * Node has no way to call the C library by itself and needs the package koffi: `npm install koffi`. Deno and Bun need
 * nothing.
 *
 * @param url `ipc:`, with options of the coordinator in the query, such as `ipc:?namespace=jobs`.
 * @param options It has none so far.
 * @returns A backend for `getCoordinator`. Nothing is opened yet.
 * @throws {TypeError} when the URL or an option cannot be read.
 * @example
 * ```ts
 * import { ipc } from "@tooz/coord/ipc";
 * import { getCoordinator } from "@tooz/coord";
 *
 * await using coordinator = await getCoordinator(ipc(), { namespace: "reports" });
 * await coordinator.lock("daily").use(async () => {
 *   // No other process of this user is here.
 * });
 * ```
 */
export function ipc(url?: string | URL, options: IpcOptions = {}): Backend {
  const { scheme, hosts, path, query } = parseAddress(url ?? "ipc:");
  if (scheme !== "ipc" || hosts.length > 0 || path !== "") {
    throw new TypeError(`Cannot read URL ${redact(url ?? "")}: want ipc: and nothing but options`);
  }
  const { defaults } = readOptions(DRIVER, query, options, {});
  const opener: Opener = {
    driver: DRIVER,
    characteristics: new Set(CHARACTERISTICS),
    clock: systemClock,
    defaults,
    async open(opening) {
      opening.signal.throwIfAborted();
      const goOut = visit(opening.namespace);
      try {
        const tools = await load();
        opening.signal.throwIfAborted();
        return await open(tools, opening, goOut);
      } catch (error) {
        goOut();
        throw error;
      }
    },
  };
  return opener;
}

async function load(): Promise<Tools> {
  try {
    const libc = await loadLibc();
    return {
      libc,
      platform: ofdPlatform(libc),
      disk: libcDisk(libc),
      clock: systemClock,
      fineTime: fineTime(libc),
    };
  } catch (cause) {
    throw failures.explain("use shared memory", cause);
  }
}

async function open(tools: Tools, options: OpenOptions, goOut: () => boolean): Promise<Session> {
  const { bell, isNew } = failures.attempt("make a semaphore", () => useBell(tools));
  try {
    if (isNew) failures.attempt('look through "/dev/shm"', () => reclaim(tools));
    for (let tries = 1;; tries++) {
      const layout = prepare(tools, options.namespace);
      const wires = ipcWires(tools, layout, { bell, goOut });
      try {
        return await openSession({ ...tools, wires, failures, layout, options });
      } catch (error) {
        const isRemoved = error instanceof Error && codeOf(error.cause) === "ENOENT";
        if (!isRemoved || tries === TRIES) throw error;
      }
    }
  } catch (error) {
    await bell.leave();
    throw error;
  }
}
