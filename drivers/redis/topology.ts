import type { Access, Patience } from "../../internal/access.ts";
import { authorityOf } from "../../internal/url.ts";
import { inquire, isReply } from "./client.ts";
import { detour, type Detours, type Server } from "./endpoint.ts";
import { readSlots, type SlotMap } from "./slots.ts";

/** Asks the nodes of a cluster who serves what, whichever of them answers first. */
export class Topology {
  readonly #seeds: readonly Server[];
  readonly #access: Access;
  readonly #detours: Detours;
  #known: readonly Server[] = [];

  constructor(seeds: readonly Server[], access: Access, detours: Detours) {
    this.#seeds = seeds;
    this.#access = access;
    this.#detours = detours;
  }

  /** Where a node is reached that others say is there. */
  reach(server: Server): Server {
    return detour(this.#detours, server);
  }

  async read({ clock, limit, signal }: Patience): Promise<SlotMap> {
    const enough = new AbortController();
    const patience = { clock, limit, signal: AbortSignal.any([signal, enough.signal]) };
    const all = [...this.#seeds, ...this.#known];
    const servers = new Map(all.map((server) => [authorityOf(server), server]));
    try {
      const map = await Promise.any([...servers.values()].map((server) => this.#ask(server, patience)));
      this.#known = map.servers;
      return map;
    } catch (error) {
      signal.throwIfAborted();
      const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
      // What a node says explains more than that another one is away.
      throw errors.find(isReply) ?? errors[0];
    } finally {
      enough.abort(new Error("another node has answered"));
    }
  }

  async #ask(server: Server, patience: Patience): Promise<SlotMap> {
    const answer = await inquire(
      { server, access: this.#access, patience },
      (client) => client.call("cluster", ["slots"]),
    );
    const { owners, servers } = readSlots(answer, server);
    const reached = new Map(servers.map((each) => [authorityOf(each), this.reach(each)]));
    // A node that was thrown out, or is new, knows of no other: it has nothing to say.
    if (servers.length === 0) throw new Error("the node knows of nobody who serves anything");
    return {
      owners: owners.map((owner) => owner && reached.get(authorityOf(owner))),
      servers: [...reached.values()],
    };
  }
}
