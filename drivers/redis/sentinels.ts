import type { Redis } from "ioredis";
import type { Access, Patience } from "../../internal/access.ts";
import { authorityOf } from "../../internal/url.ts";
import { fields, inquire, isReply } from "./client.ts";
import { type Demands, detour, type Detours, type Endpoint, isSame, type Server } from "./endpoint.ts";
import type { Replication } from "./replication.ts";

/** How the sentinels are asked, and for what. */
export interface SentinelOptions extends Demands {
  readonly sentinels: readonly Server[];
  /** By which they know the master. */
  readonly name: string;
  /** Who asks them. */
  readonly login: Access;
  readonly detours: Detours;
}

/** What one sentinel says. */
interface Word {
  readonly server: Server;
  /** Which of several words is the newest. */
  readonly epoch: bigint;
  /** Whether another is about to be chosen. */
  readonly down: boolean;
}

/** How long those have that did not answer among the first, in ms: one of them alone may know of a fail-over. */
const GRACE = 250;

/**
 * The master that sentinels watch over. They are all asked, each time that a connection is made: the former one may have
 * come back, without any data, before all of them know that another was chosen.
 */
export class Sentinels implements Endpoint {
  readonly access: Access;
  readonly db: number;
  readonly replication: Replication | undefined;
  readonly shown: string;
  readonly moves = true;
  readonly isCluster = false;
  readonly #options: SentinelOptions;

  constructor(options: SentinelOptions) {
    this.#options = options;
    this.access = options.access;
    this.db = options.db;
    this.replication = options.replication;
    this.shown = `redis "${options.name}" of the sentinels at "${options.sentinels.map(authorityOf)}"`;
  }

  async locate(patience: Patience, present?: Server): Promise<Server> {
    const words = await this.#words(patience);
    const newest = words.reduce((max, { epoch }) => epoch > max ? epoch : max, -1n);
    const latest = words.filter(({ epoch }) => epoch === newest);
    const { server } = latest.find((word) => isSame(word.server, present)) ?? latest[0] as Word; // One at least.
    if (latest.some((word) => word.down && isSame(word.server, server))) {
      throw new Error(`the master at "${authorityOf(server)}" is down or about to be replaced`);
    }
    return server;
  }

  /** Settles soon after most of the sentinels have answered: those that are behind are outvoted by their epoch. */
  async #words({ clock, limit, signal }: Patience): Promise<Word[]> {
    const { sentinels, login } = this.#options;
    const enough = new AbortController();
    const patience = { clock, limit, signal: AbortSignal.any([signal, enough.signal]) };
    const words: Word[] = [];
    const errors: unknown[] = [];
    let stop: (() => void) | undefined;
    const asked = sentinels.map(async (sentinel) => {
      try {
        words.push(
          await inquire({ server: sentinel, access: login, patience }, (client) => this.#hear(client)),
        );
        if (words.length <= sentinels.length / 2) return;
        stop ??= clock.after(GRACE, () => enough.abort(new Error("enough sentinels have answered")));
      } catch (error) {
        errors.push(error);
      }
    });
    await Promise.all(asked);
    stop?.();
    signal.throwIfAborted();
    if (words.length > 0) return words;
    // What a sentinel says explains more than that another one is away.
    throw errors.find(isReply) ?? errors[0];
  }

  async #hear(client: Redis): Promise<Word> {
    const { name, detours } = this.#options;
    // In this order: if another is chosen between the two, it is the second that tells.
    const [all, address] = await Promise.all([
      client.call("sentinel", ["master", name]),
      client.call("sentinel", ["get-master-addr-by-name", name]),
    ]);
    const said = fields(all);
    const former = { host: said.get("ip") ?? "", port: Number(said.get("port")) };
    const server = serverOf(address) ?? former;
    // Who leads a fail-over counts the new one as the master as soon as it is promoted, and shows the former one still.
    const isShown = isSame(server, former);
    const flags = (said.get("flags") ?? "").split(",");
    return {
      server: detour(detours, server),
      epoch: BigInt(said.get("config-epoch") ?? 0),
      down: isShown && ["o_down", "failover_in_progress"].some((flag) => flags.includes(flag)),
    };
  }
}

/** Undefined: no such master is known. */
function serverOf(answer: unknown): Server | undefined {
  const [host, port] = Array.isArray(answer) ? answer.map(String) : [];
  return host === undefined ? undefined : { host, port: Number(port) };
}
