import { createHash } from "node:crypto";
import type { Target } from "../../driver.ts";

/** The server takes no longer ones. */
const LONGEST = 250;

/** The keys of lines fall into so many districts. */
const DISTRICTS = 64;

/** The keys of a namespace. Names stand in them as they do in URLs, so that an operator can read them. */
export class Keys {
  readonly #namespace: string;

  constructor(namespace: string) {
    this.#namespace = encodeURIComponent(namespace);
  }

  session(id: string): string {
    return this.#key("sessions", id);
  }

  line({ kind, name }: Target): string {
    return this.#key(kind === "lock" ? "locks" : "elections", name);
  }

  group(id: string): string {
    return this.#key("groups", id);
  }

  /** The list of all groups. */
  get catalog(): string {
    return this.#key("catalog", "");
  }

  /** A number that grows when a line of the same district is made anew, which one that was evicted may be. */
  births(line: string): string {
    let hash = 0;
    for (let i = 0; i < line.length; i++) hash = (hash * 31 + line.charCodeAt(i)) >>> 0;
    return this.#key("births", `${hash % DISTRICTS}`);
  }

  #key(world: string, name: string): string {
    const key = `${this.#namespace}/${world}/${encodeURIComponent(name)}`;
    if (key.length <= LONGEST) return key;
    // A "#" stands in no other key.
    return `${world}#${createHash("sha256").update(key).digest("base64url")}`;
  }
}

/** Which of the servers has a key: the same for all who name the same servers, in whatever order. */
export function place(key: string, servers: readonly string[]): number {
  let best = 0;
  let most = "";
  for (const [i, server] of servers.entries()) {
    if (servers.length === 1) break;
    // The highest hash wins, so that a server that is added or left out moves only its own keys.
    const weight = createHash("md5").update(`${server} ${key}`).digest("hex");
    if (weight > most) [best, most] = [i, weight];
  }
  return best;
}
