import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import { type Attempt, type Result, type StoreEvent, type StoreSettings, SUMMARY } from "./messages.ts";

/**
 * The output of the demo: one result a file. This is what fencing tokens are for. No lock can stop a process that was
 * itself stopped while it held the lock, lost it meanwhile, and goes on as if nothing had happened: only the place
 * that it writes to can, by refusing a token smaller than the greatest that it has seen.
 */
export class Store {
  readonly #settings: StoreSettings;
  readonly #tell: (event: StoreEvent) => void;
  readonly #greatest = new Map<string, bigint>();
  readonly #results = new Map<string, Result>();
  readonly #pending: Set<string>;
  readonly #finished = Promise.withResolvers<void>();

  constructor(settings: StoreSettings, tell: (event: StoreEvent) => void) {
    this.#settings = settings;
    this.#tell = tell;
    this.#pending = new Set(settings.files);
  }

  /** The files without a result. */
  pending(): string[] {
    return [...this.#pending];
  }

  /**
   * A new holder shows its token before it starts, so that a former one is refused from here on, not only from the
   * new one's write on; otherwise both might write, in good order, and the work would count twice.
   *
   * @returns whether there is anything left to do
   */
  claim({ file, worker, token }: Attempt): boolean {
    if (this.#results.has(file)) return false;
    if (this.#greatest.has(file)) this.#tell({ type: "taken over", file, worker, token });
    this.#admit(file, BigInt(token));
    return true;
  }

  /** Keeps a result, unless the token is an old one. */
  write({ file, worker, token }: Attempt, result: Result): boolean {
    const greatest = this.#greatest.get(file) ?? 0n;
    const isAccepted = this.#admit(file, BigInt(token)) || !this.#settings.fencing;
    this.#record({ file, worker, token, accepted: isAccepted, ...result });
    if (isAccepted) {
      this.#results.set(file, result);
      this.#tell({ type: "written", file, worker, token, result });
      this.#pending.delete(file);
      if (this.#pending.size === 0) this.#finished.resolve();
    } else {
      this.#tell({ type: "refused", file, worker, token, greatest: String(greatest) });
    }
    return isAccepted;
  }

  /** The sum of all results, once there are all. */
  async totals(): Promise<Result> {
    await this.#finished.promise;
    const results = this.#settings.files.map((file) => this.#results.get(file)).filter((result) => !!result);
    const hash = createHash("sha256");
    for (const { sha256 } of results) hash.update(sha256);
    return {
      lines: results.reduce((sum, { lines }) => sum + lines, 0),
      words: results.reduce((sum, { words }) => sum + words, 0),
      sha256: hash.digest("hex"),
    };
  }

  /** The check of the fencing token. */
  #admit(file: string, token: bigint): boolean {
    const greatest = this.#greatest.get(file) ?? 0n;
    if (token > greatest) this.#greatest.set(file, token);
    return token >= greatest;
  }

  #record({ file, ...attempt }: Attempt & Result & { accepted: boolean }): void {
    const line = { file: file === SUMMARY ? "(summary)" : file, ...attempt };
    appendFileSync(this.#settings.journal, `${JSON.stringify(line)}\n`);
  }
}
