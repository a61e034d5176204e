import { execFileSync, spawnSync } from "node:child_process";
import process from "node:process";

/** A network of its own on this machine, with one cable to ours; it takes root, and `ip`. */
export class Island implements Disposable {
  /** Ours, at the end of the cable. */
  readonly address: string;
  /** What stands before a command that is to run there. */
  readonly command: readonly string[];
  readonly #name: string;
  readonly #other: string;

  constructor() {
    this.#name = `coord${process.pid % 10_000}`;
    const net = `10.${100 + process.pid % 100}.${Math.floor(Math.random() * 250)}`;
    this.address = `${net}.1`;
    this.#other = `${net}.2`;
    this.command = ["ip", "netns", "exec", this.#name];
    ip("netns", "add", this.#name);
    try {
      ip("link", "add", this.#cable, "type", "veth", "peer", "name", "eth0", "netns", this.#name);
      ip("addr", "add", `${this.address}/24`, "dev", this.#cable);
      ip("link", "set", this.#cable, "up");
      ip("-n", this.#name, "addr", "add", `${this.#other}/24`, "dev", "eth0");
      ip("-n", this.#name, "link", "set", "eth0", "up");
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  get #cable(): string {
    return `${this.#name}v`;
  }

  /** From now on nothing gets through, and nobody is told. */
  cut(): void {
    // Both send to an address that no card has: with the cable out, or no route, the systems would know.
    const nobody = ["lladdr", "02:00:00:00:00:01", "nud", "permanent"];
    ip("-n", this.#name, "neigh", "replace", this.address, ...nobody, "dev", "eth0");
    ip("neigh", "replace", this.#other, ...nobody, "dev", this.#cable);
  }

  [Symbol.dispose](): void {
    spawnSync("ip", ["netns", "delete", this.#name]);
  }
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** Whether there can be one. */
export function canIsolate(): boolean {
  const name = `coordtry${process.pid}`;
  if (spawnSync("ip", ["netns", "add", name]).status !== 0) return false;
  return spawnSync("ip", ["netns", "delete", name]).status === 0;
}
