import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import type { Suite } from "./binaries.ts";
import { Cluster, type NodeSpec } from "./cluster.ts";
import { postgresqlSpec } from "./postgresql.ts";
import type { ServerProcess, ServerSpec } from "./server.ts";

export interface PostgresqlPairOptions {
  /** Which version; default: the newest that is installed. */
  suite?: Suite | undefined;
  /** Whether a commit waits until the standby has it; default true. */
  synchronous?: boolean;
  /** Asks everybody for it who connects; default: nobody is asked. */
  password?: string | undefined;
}

const REPLICATION_DEADLINE = 30_000;

/** How the standby follows, once it has all that the primary has. */
const STREAMS = "select sync_state from pg_stat_replication where state = 'streaming'";

/** Asks a server one thing; the first column of the first row. */
export async function askPostgresql(server: { readonly url: string }, sql: string): Promise<unknown> {
  const client = new Client({
    connectionString: server.url,
    connectionTimeoutMillis: 10_000,
    query_timeout: 10_000,
  });
  client.on("error", () => {}); // Who asks hears of it.
  await client.connect();
  try {
    const { rows: [row] } = await client.query<Record<string, unknown>>(sql);
    return Object.values(row ?? {})[0];
  } finally {
    await client.end();
  }
}

/** Makes a standby the primary, which waits for no standby; resolves when it can be written to. */
export async function promote(standby: ServerProcess): Promise<void> {
  await waitForStandby(standby, false);
  await askPostgresql(standby, "select pg_promote()");
}

/** Whether commits are to wait for the standby. */
async function waitForStandby(primary: ServerProcess, waits: boolean): Promise<void> {
  await askPostgresql(primary, `alter system set synchronous_standby_names = '${waits ? "*" : ""}'`);
  await askPostgresql(primary, "select pg_reload_conf()");
}

/**
 * A primary and its standby, with what a manager such as Patroni does for them whenever somebody asks for the leader:
 * it promotes the standby of a primary that is gone, and has a primary wait for its standby as long as that is there. A
 * node that is started beside a primary follows that, with new data.
 */
export class PostgresqlPair extends Cluster {
  readonly #isSynchronous: boolean;
  #primary: ServerProcess;
  #standby: ServerProcess;

  constructor(specs: readonly NodeSpec[], isSynchronous: boolean) {
    super("PostgreSQL with a standby", specs);
    this.#isSynchronous = isSynchronous;
    [this.#primary, this.#standby] = this.nodes as [ServerProcess, ServerProcess]; // It is a pair.
  }

  /** Names the standby first, as long as none was promoted. */
  override get url(): string {
    return this.urlAt(this.port);
  }

  /** The same, with the first primary reached through another port. */
  override urlAt(port: number): string {
    const others = this.nodes.slice(1).map((node) => `127.0.0.1:${node.port}`);
    return super.urlAt(port).replace("@", `@${others},`);
  }

  /** The port of the server that the one of this port is to follow when it is started now. */
  followedBy(port: number): number | undefined {
    return this.#primary.isAlive && this.#primary.port !== port ? this.#primary.port : undefined;
  }

  override async start(): Promise<this> {
    if (!this.#primary.isAlive) await this.#primary.start();
    if (!this.#standby.isAlive) await this.#standby.start();
    await this.leader();
    return this;
  }

  override async leader(): Promise<ServerProcess> {
    if (!this.#primary.isAlive && this.#standby.isAlive) {
      await promote(this.#standby);
      [this.#primary, this.#standby] = [this.#standby, this.#primary];
    } else if (this.#primary.isAlive) await this.#adapt();
    return await super.leader();
  }

  /** Has the primary wait for its standby if that is there, and resolves when it does. */
  async #adapt(): Promise<void> {
    const hasStandby = this.#standby.isAlive;
    await waitForStandby(this.#primary, this.#isSynchronous && hasStandby);
    if (!hasStandby) return;
    const wanted = this.#isSynchronous ? "sync" : "async";
    const deadline = performance.now() + REPLICATION_DEADLINE;
    while (await askPostgresql(this.#primary, STREAMS) !== wanted) {
      if (performance.now() > deadline) throw new Error(`Cannot use the ${this.name}: it does not follow`);
      await sleep(20);
    }
  }
}

/** Starts a primary and its standby; `await using` ends them. */
export async function startPostgresqlPair(options: PostgresqlPairOptions = {}): Promise<PostgresqlPair> {
  const { suite, synchronous = true, password } = options;
  const made: { pair?: PostgresqlPair } = {};
  const describe = async (): Promise<NodeSpec> => {
    const spec: ServerSpec = await postgresqlSpec({
      suite,
      password,
      // A standby whose primary is gone looks for it so often, and is promoted only then.
      settings: ["wal_retrieve_retry_interval=100ms"],
      primary: () => made.pair?.followedBy(spec.port),
    });
    const url = spec.url(spec.port);
    const leads = async () => await askPostgresql({ url }, "select not pg_is_in_recovery()") === true;
    return { ...spec, leads, peer: { ports: [] } };
  };
  const pair = made.pair = new PostgresqlPair([await describe(), await describe()], synchronous);
  try {
    return await pair.start();
  } catch (error) {
    await pair.stop();
    throw error;
  }
}
