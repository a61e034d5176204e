import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { findBinary } from "../tests/servers/binaries.ts";
import { startRedis } from "../tests/servers/redis.ts";
import { floor as fileFloor } from "./floors/file.ts";
import { floor as redisFloor } from "./floors/redis.ts";
import { bell as redisBell } from "./floors/redis_bell.ts";

/** The least that a backend can do for an acquire and a release, without this library. */
export interface Floor {
  once(): Promise<unknown>;
  close(): Promise<unknown>;
}

/** One end of the least that can wake another process up. */
export interface Bell {
  /** Wakes the other end. */
  ring(): Promise<unknown>;
  /** Resolves at the next ring of the other end, after the one trip that taking the lock needs. */
  heard(): Promise<unknown>;
  close(): Promise<unknown>;
}

/** A backend to measure: a new driver adds a row to {@linkcode BACKENDS}. */
export interface BenchedBackend {
  readonly name: string;
  /** The server program without which it cannot be measured. */
  readonly needs?: string;
  /** A private instance. */
  start(): Promise<{ readonly url: string; stop(): Promise<unknown> }>;
  readonly floor?: (url: string) => Promise<Floor>;
  readonly bell?: (url: string, side: "left" | "right") => Promise<Bell>;
  /** Whether two processes can meet on it. */
  readonly isShared: boolean;
  /** What must hold on any machine: ratios to the floor, or ms. */
  readonly bars: {
    readonly uncontendedRatio?: number;
    readonly handoffRatio?: number;
    readonly handoff?: number;
  };
}

function startDirectory() {
  const directory = mkdtempSync(join(tmpdir(), "coord-bench-"));
  const stop = () => Promise.resolve(rmSync(directory, { recursive: true, force: true }));
  return Promise.resolve({ url: pathToFileURL(directory).href, stop });
}

export const BACKENDS: readonly BenchedBackend[] = [
  {
    name: "zake",
    start: () => Promise.resolve({ url: "zake://bench", stop: () => Promise.resolve() }),
    isShared: false,
    bars: {},
  },
  {
    name: "file",
    start: startDirectory,
    floor: fileFloor,
    isShared: true,
    bars: { handoff: 5 },
  },
  {
    name: "redis",
    needs: "redis-server",
    start: startRedis,
    floor: redisFloor,
    bell: redisBell,
    isShared: true,
    bars: { uncontendedRatio: 1.5, handoffRatio: 3 },
  },
];

/** Whether a backend can be measured here. */
export function isAvailable({ needs }: BenchedBackend): boolean {
  return needs === undefined || findBinary(needs) !== undefined;
}

/** What a backend's server program says of itself. */
export function serverVersion({ needs }: BenchedBackend): string | undefined {
  const binary = needs === undefined ? undefined : findBinary(needs);
  if (!binary) return undefined;
  const { stdout } = spawnSync(binary.file, ["--version"], {
    encoding: "utf8",
    env: { ...process.env, ...binary.env },
  });
  return stdout.split("\n")[0]?.trim();
}
