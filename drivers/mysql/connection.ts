import { either } from "../../core/abort.ts";
import type { Clock } from "../../driver.ts";
import { Cancelled, Interrupted } from "../../internal/sql/store.ts";
import { type Answer, NOTHING, toAnswers } from "./answers.ts";
import { numberOf, tooLarge, translate } from "./errors.ts";
import { disconnect, type Link, type MysqlClient, type MysqlQuery, type Source } from "./source.ts";
import { all, type Bound, Raw, sql } from "./sql.ts";

/** What a connection is opened with. */
export interface ConnectionOptions {
  readonly clock: Clock;
  /** The deadline of opening, and of requests that have one, in ms. */
  readonly limit: number;
  /** The server ends the connection when it was idle for so many ms. */
  readonly idle: number;
  /** Cancels the opening only. */
  readonly signal: AbortSignal;
  /** Tells, once, that it broke by itself. */
  broken(cause: Error): void;
}

/** What an administrator may have set in a way that would break us; each session sets its own. */
function custom(idle: number, version: string): Raw {
  const seconds = Math.max(Math.ceil(idle / 1000), 1);
  const longest = new Raw(version.includes("MariaDB") ? "max_statement_time" : "max_execution_time");
  return all(
    sql`set session transaction isolation level read committed, read write`,
    sql`set session autocommit = 1, completion_type = 'NO_CHAIN', sql_mode = 'STRICT_ALL_TABLES', sql_safe_updates = 0,
      sql_select_limit = default, time_zone = '+00:00', wait_timeout = ${seconds}, net_read_timeout = 60,
      net_write_timeout = 60, lock_wait_timeout = 10, innodb_lock_wait_timeout = 5, sql_auto_is_null = 0, ${longest} = 0`,
  );
}

/** What the client library calls with an answer. */
type Done = Parameters<MysqlClient["query"]>[1];

/** How requests and answers are to be read, whatever a pool's own settings say. */
const PLAIN: Omit<MysqlQuery, "sql"> = {
  rowsAsArray: true,
  nestTables: false,
  namedPlaceholders: false,
  typeCast: false,
};

/** Has characters of one to four bytes, to see whether they arrive. */
const CHARACTERS = "aß€😀";

/** What is wrong with a pool's connections, by the number of the error that shows it. */
const PARSE_ERROR = 1064;

/** The server keeps as many prepared statements as it may. */
const NO_MORE_PREPARED = 1461;

/** A request that was ended is made again, so often. */
const TRIES = 10;

/** What a request begins with that must be done as a whole, or not at all. */
export const TRANSACTION = "start transaction";

/** One connection to a server, and the requests on it, one after the other. */
export class Connection {
  /** By which the server knows it; 0 until it is open. */
  id = 0;
  /** Its default database, as the server calls it. */
  database = "";
  isOpen = true;
  readonly #client: MysqlClient;
  readonly #options: ConnectionOptions;
  /** Reject the requests that are under way. */
  readonly #asked = new Set<(error: Error) => void>();
  #largest = Infinity;
  #canPrepare = true;

  private constructor(client: MysqlClient, options: ConnectionOptions) {
    this.#client = client;
    this.#options = options;
    for (const event of ["error", "end"] as const) {
      client.on(
        event,
        (cause?: unknown) => this.#break(cause ?? new Error("the server closed the connection")),
      );
    }
  }

  /** Connects; rejects with `Interrupted` when no server answers in time. */
  static async open(source: Source, options: ConnectionOptions): Promise<Connection> {
    const { clock, limit } = options;
    const late = new AbortController();
    const stop = clock.after(limit, () => late.abort(new Interrupted(source.silence(limit))));
    const signal = AbortSignal.any([options.signal, late.signal]);
    let connection: Connection | undefined;
    try {
      signal.throwIfAborted();
      const link = await source.connect({ clock, limit, signal });
      connection = new Connection(link.client, options);
      await either(connection.#greet(link), signal);
      return connection;
    } catch (error) {
      connection?.destroy();
      throw signal.aborted ? signal.reason : error;
    } finally {
      stop();
    }
  }

  async #greet({ id, version, database }: Link): Promise<void> {
    const served = version ?? await this.#adopt(database);
    const [answer] = (await this.#send(all(
      custom(this.#options.idle, served),
      sql`select connection_id(), @@max_allowed_packet, database()`,
    ))).slice(-1);
    const [own, largest, name] = answer?.rows[0] ?? [];
    this.id = Number(own);
    this.database = name ?? "";
    this.#largest = Number(largest);
    if (this.id !== id) {
      throw new Error(
        "something stands between that shares its connections, such as a proxy: connect without it",
      );
    }
  }

  /** Makes a connection that others have set up, and used, one like ours; answers with the server's version. */
  async #adopt(database: string | undefined): Promise<string> {
    if (database === undefined) throw new Error('the pool has no database: say "database"');
    for (const name of ["typeCast", "queryFormat"] as const) {
      if (typeof this.#client.config[name] !== "function") continue;
      throw new Error(
        `the pool has a ${name} of its own, which would change ours: make another pool without`,
      );
    }
    await this.#send(sql`set names utf8mb4 collate utf8mb4_bin`);
    const quoted = new Raw(`\`${database.replaceAll("`", "``")}\``);
    const begin = all(sql`rollback`, sql`unlock tables`, sql`use ${quoted}`);
    await this.#send(begin).catch((error: unknown) => {
      if (!(error instanceof Error) || numberOf(error.cause) !== PARSE_ERROR) throw error;
      throw new Error(
        "the pool sends no more than one statement at once: make it with multipleStatements: true",
      );
    });
    const [answer] = await this.#send(sql`select version(), hex(${CHARACTERS})`);
    const [version, seen] = answer?.rows[0] ?? [];
    if (seen !== Buffer.from(CHARACTERS).toString("hex").toUpperCase()) {
      throw new Error('the pool changes characters on their way: make it with charset: "utf8mb4"');
    }
    return version ?? "";
  }

  /**
   * Makes a request when those before it have their answers: one for each of its statements. After an error nothing of
   * a transaction is left. What is computed of values needs a name in it: the client keeps a program for each name of a
   * column, and without it that is the whole expression.
   * @throws {Cancelled} when it was ended by KILL QUERY
   */
  ask(request: Raw): Promise<Answer[]> {
    const { text } = request;
    // The server would end the connection.
    if (text.length > this.#largest / 4 && new TextEncoder().encode(text).length + 1000 > this.#largest) {
      return Promise.reject(
        tooLarge(`the server's max_allowed_packet is ${this.#largest}`),
      );
    }
    const answers = this.#send(request);
    // Right behind it: nothing else may come into a transaction that has failed halfway.
    if (text.startsWith(TRANSACTION)) this.#send(sql`rollback`).catch(() => {}); // It is over with the connection.
    return answers;
  }

  /** The same; what was ended from elsewhere, or to resolve a deadlock, is asked again. */
  async insist(request: Raw): Promise<Answer[]> {
    for (let tries = 1;; tries++) {
      try {
        return await this.ask(request);
      } catch (error) {
        if (!(error instanceof Cancelled) || tries === TRIES) throw error;
      }
    }
  }

  /** Makes a request of one statement that the server keeps prepared: with the longer ones a fifth is saved. */
  execute(request: Bound): Promise<Answer> {
    const { text, values } = request;
    const length = values.reduce((sum, value) => sum + value.length, 0);
    if (!this.#canPrepare || length > this.#largest / 4) return this.ask(request.plain).then(first);
    const options: MysqlQuery = { ...PLAIN, sql: text, values: [...values] };
    return this.#command((done) => this.#client.execute(options, done), first).catch((error: unknown) => {
      if (!(error instanceof Error) || numberOf(error.cause) !== NO_MORE_PREPARED) throw error;
      this.#canPrepare = false;
      return this.execute(request);
    });
  }

  /** The same with a deadline, after which the connection is destroyed. */
  askSoon(request: Raw): Promise<Answer[]> {
    return this.#bounded(this.ask(request), this.#options.limit);
  }

  /** Disconnects at once. */
  destroy(): void {
    this.#end(new Interrupted("the connection was closed"));
  }

  #send(request: Raw): Promise<Answer[]> {
    const options: MysqlQuery = { ...PLAIN, sql: request.text };
    return this.#command((done) => this.#client.query(options, done), (answers) => answers);
  }

  #command<T>(send: (done: Done) => void, read: (answers: Answer[]) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!this.isOpen) return reject(new Interrupted("the connection is closed"));
      this.#asked.add(reject);
      send((error, results, fields) => {
        this.#asked.delete(reject);
        if (error) reject(this.#explain(error));
        else resolve(read(toAnswers(results, fields)));
      });
    });
  }

  #explain(error: Error): Error {
    const explained = translate(error);
    // Where a request is under way, the library tells nobody else.
    if (explained instanceof Interrupted) this.#break(error);
    return explained;
  }

  #break(cause: unknown): void {
    if (!this.isOpen) return;
    const error = translate(cause);
    this.#end(error instanceof Interrupted ? error : new Interrupted(error.message, { cause }));
    if (this.id !== 0) this.#options.broken(error);
  }

  #end(reason: Interrupted): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    disconnect(this.#client);
    // The library calls nobody back.
    for (const reject of this.#asked) reject(reason);
    this.#asked.clear();
  }

  async #bounded<T>(promise: Promise<T>, ms: number): Promise<T> {
    const late = Promise.withResolvers<never>();
    const stop = this.#options.clock.after(ms, () => {
      late.reject(new Interrupted(`no answer within ${Math.round(ms)} ms`));
      this.destroy();
    });
    try {
      return await Promise.race([promise, late.promise]);
    } finally {
      stop();
      promise.catch(() => {}); // It comes too late.
    }
  }
}

function first([answer]: readonly Answer[]): Answer {
  return answer ?? NOTHING;
}
