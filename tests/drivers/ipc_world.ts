import * as fs from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Backend } from "../../driver.ts";
import { ipc } from "../../drivers/ipc.ts";
import { PartyWorld } from "./party.ts";

const SHM = "/dev/shm";

/** What of the driver stands in /dev/shm. */
export function shared(prefix: string): string[] {
  return fs.readdirSync(SHM).filter((name) => name.includes(prefix)).sort();
}

/** A namespace of its own, with sessions and processes in it. */
export class World extends PartyWorld {
  readonly url = "ipc:";
  readonly namespace: string;
  readonly root: string;

  constructor() {
    super();
    this.namespace = `test-${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
    this.root = join(SHM, `tooz-coord-${this.namespace}`);
  }

  /** The locks that have a directory. */
  locks(): string[] {
    return fs.readdirSync(join(this.root, "l"));
  }

  /** The semaphores of the processes that have sessions here. */
  bells(): string[] {
    const sessions = fs.readdirSync(join(this.root, "s"));
    return [...new Set(sessions.map((sid) => join(SHM, `sem.tooz-coord-${sid.slice(0, 12)}`)))];
  }

  protected backend(): Backend {
    return ipc(this.url);
  }

  protected clear(): void {
    fs.rmSync(this.root, { recursive: true, force: true });
  }
}
