/**
 * The driver for files and flock(2): no server, one machine, for Deno, Bun, Node and `flock(1)` alike.
 *
 * @module
 */
import * as path from "node:path";
import type { Characteristic } from "../characteristics.ts";
import type { Backend, Opener } from "../driver.ts";
import { systemClock } from "../internal/clock.ts";
import { openSession } from "../internal/files/session.ts";
import { nodeDisk } from "../internal/platform/node_disk.ts";
import { loadPlatform } from "../internal/platform/platform.ts";
import { boolean, parseAddress, readOptions, redact } from "../internal/url.ts";
import { prepare } from "./file/directory.ts";
import { DRIVER, failures } from "./file/failure.ts";
import { fileWires } from "./file/wires.ts";

export type { Backend };

/** Options of {@linkcode file}. */
export interface FileOptions {
  /**
   * Use the directory even if it is on a network file system. Its locks may then hold among the processes of one host
   * only, or not at all. Default false: such a directory is refused.
   */
  allowNetwork?: boolean;
}

const CHARACTERISTICS: readonly Characteristic[] = [
  "DISTRIBUTED_ACROSS_THREADS",
  "DISTRIBUTED_ACROSS_PROCESSES",
  "NON_TIMEOUT_BASED",
  "FAIR",
  "PUSHED_LOCKS",
  "PUSHED_WATCHES",
  "CRASH_RELEASE",
  "DURABLE_FENCING",
];

/**
 * Coordinates the processes of one machine through files in a directory, which is made when it is missing.
 *
 * Node has no file locks of its own and needs the package koffi: `npm install koffi`. Deno and Bun need nothing.
 *
 * @param directory A path such as `./locks`, or `file:///absolute/path` or `file:relative/path` with options in the
 * query; without one, a directory of this user in the system's directory for temporary files.
 * @param options Options in code, which win over those of the URL.
 * @returns A backend for `getCoordinator`. Nothing is opened yet.
 * @throws {TypeError} when the path, the URL or an option cannot be read.
 * @example
 * ```ts ignore
 * import { file } from "@tooz/coord/file";
 * import { getCoordinator } from "@tooz/coord";
 *
 * await using coordinator = await getCoordinator(file("./locks"));
 * await coordinator.lock("report").use(async () => {
 *   // No other process of this machine is here.
 * });
 * ```
 */
export function file(directory?: string | URL, options: FileOptions = {}): Backend {
  const { place, query } = readPlace(directory);
  const { options: { allowNetwork = false }, defaults } = readOptions(DRIVER, query, options, {
    allowNetwork: boolean,
  });
  const opener: Opener = {
    driver: DRIVER,
    characteristics: new Set(CHARACTERISTICS),
    clock: systemClock,
    defaults,
    async open(opening) {
      opening.signal.throwIfAborted();
      const platform = await loadPlatform().catch((cause) => {
        throw failures.explain("lock files", cause);
      });
      opening.signal.throwIfAborted();
      const layout = prepare(place, { namespace: opening.namespace, allowNetwork });
      const [disk, clock] = [nodeDisk, systemClock];
      const wires = fileWires(disk, clock, layout);
      const { wall: fineTime } = clock;
      return await openSession({
        platform,
        disk,
        wires,
        failures,
        clock,
        fineTime,
        layout,
        options: opening,
      });
    },
  };
  return opener;
}

/** A directory, undefined for the default one, and the options of a URL. */
interface Place {
  readonly place: string | undefined;
  readonly query: ReadonlyMap<string, string>;
}

function readPlace(directory: string | URL | undefined): Place {
  if (directory === undefined) return { place: undefined, query: new Map() };
  if (directory instanceof URL || /^[a-z][a-z0-9+.-]+:/i.test(directory)) return readUrl(directory);
  if (directory === "") throw new TypeError('Cannot use directory "": want a path, or file:///path');
  if (directory.includes("\0")) throw new TypeError("Cannot use a directory whose path contains NUL");
  return { place: path.resolve(directory), query: new Map() };
}

function readUrl(url: string | URL): Place {
  const { scheme, hosts: [host], path: place, query } = parseAddress(url);
  if (scheme !== "file") {
    const advice = "want file:///path, or a path such as ./locks";
    throw new TypeError(`Cannot read URL ${redact(url)}: ${advice}`);
  }
  if (host && host.host !== "localhost") {
    const advice = "it names a host; an absolute path has three slashes: file:///path";
    throw new TypeError(`Cannot read URL ${redact(url)}: ${advice}`);
  }
  if (place.includes("\0")) throw new TypeError(`Cannot read URL ${redact(url)}: its path contains NUL`);
  return { place: place === "" ? undefined : path.resolve(place), query };
}
