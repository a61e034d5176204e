import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { LateError } from "../late.ts";
import type { Attempt, Grant, Opener, OpenOptions, Session } from "../../driver.ts";
import { postgresql, type PostgresqlOptions, type PostgresqlPool } from "../../drivers/postgresql.ts";
import { hasServer } from "../servers/available.ts";
import { type PostgresqlServerOptions, startPostgresql } from "../servers/postgresql.ts";
import type { ServerProcess } from "../servers/server.ts";

export const OPTIONS = { skip: !hasServer("postgres"), timeout: 120_000 };
export const NEVER = new AbortController().signal;

/** A session, and short ways to use it. */
export interface Party extends Session {
  readonly notes: string[];
  take(name: string, options?: Partial<Attempt>): Promise<Grant>;
}

export interface OpeningOptions extends Partial<OpenOptions> {
  readonly from?: string | PostgresqlPool;
  readonly driver?: PostgresqlOptions;
}

/** A PostgreSQL, a client that looks at it, and sessions on it. */
export class World implements AsyncDisposable {
  readonly server: ServerProcess;
  readonly client: Client;
  readonly #parties: Party[] = [];

  constructor(server: ServerProcess) {
    this.server = server;
    this.client = new Client({ connectionString: server.url });
    this.client.on("error", () => {}); // The server is killed on purpose.
  }

  async open(memberId = "a", options: OpeningOptions = {}): Promise<Party> {
    const { from = this.server.url, driver, ...rest } = options;
    const notes: string[] = [];
    const opener = postgresql(from, driver) as Opener; // What the factory makes is an opener to those who know.
    const session = await opener.open({
      memberId,
      incarnation: crypto.randomUUID(),
      namespace: "test",
      ttl: 20_000,
      timeout: 5_000,
      signal: NEVER,
      longest: 10_000,
      note: (note) => notes.push(note),
      ...rest,
    });
    const party: Party = Object.assign(session, {
      notes,
      take: async (name: string, more: Partial<Attempt> = {}) => {
        const grant = await session.locks.acquire(attempt(name, more));
        assert.ok(grant, `lock "${name}" was busy`);
        return grant;
      },
    });
    this.#parties.push(party);
    return party;
  }

  /** The first column of the first row. */
  async value<T>(sql: string, ...values: unknown[]): Promise<T> {
    const { rows: [row] } = await this.client.query<Record<string, T>>(sql, values);
    const [value] = Object.values(row ?? {});
    return value as T; // Who asks knows what the column is.
  }

  /** So many connections there are, without that of the client here. */
  async connections(): Promise<number> {
    return await this.value<number>(
      "select count(*)::int from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#parties.map((party) => party.close()));
    await this.client.end().catch(() => {}); // The server may be gone.
    await this.server.stop();
  }
}

export async function startWorld(options?: PostgresqlServerOptions): Promise<World> {
  const world = new World(await startPostgresql(options));
  await world.client.connect();
  return world;
}

export function attempt(name: string, options: Partial<Attempt> = {}): Attempt {
  return {
    kind: "lock",
    name,
    id: crypto.randomUUID(),
    mode: "exclusive",
    wait: true,
    value: "",
    signal: NEVER,
    ...options,
  };
}

/** Waits until something holds. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  ms = 10_000,
): Promise<void> {
  const deadline = performance.now() + ms;
  while (!await holds()) {
    if (performance.now() > deadline) throw new LateError(`Not within ${ms} ms: ${what}`);
    await sleep(5);
  }
}

/** The reason that a signal fires with. */
export async function fired(signal: Pick<AbortSignal, "aborted" | "reason">, ms?: number): Promise<unknown> {
  await until(() => signal.aborted, "the signal fires", ms);
  return signal.reason;
}
