import type { Entry, Target } from "../driver.ts";
import { ask, order } from "./asking.ts";
import type { AcquireOptions, Holder, Lease, Lock, TryOptions } from "./api/lock.ts";
import { AcquireTimeoutError } from "./errors.ts";
import type { Host } from "./host.ts";
import { HeldLease, runUnder } from "./lease.ts";
import { checkDuration, checkMode } from "./names.ts";
import { explain, take } from "./take.ts";

/** A lock by its name; it holds no state. */
export class NamedLock implements Lock {
  readonly name: string;
  readonly #host: Host;
  readonly #target: Target;

  constructor(host: Host, name: string) {
    this.#host = host;
    this.name = name;
    this.#target = { kind: "lock", name };
  }

  acquire(options: AcquireOptions = {}): Promise<Lease> {
    return this.#acquire(options);
  }

  tryAcquire(options: TryOptions = {}): Promise<Lease | undefined> {
    return this.#try(options);
  }

  async use<T>(fn: (lease: Lease) => Promise<T> | T, options: AcquireOptions = {}): Promise<T> {
    const lease = await this.#acquire(options);
    return await runUnder(lease, () => fn(lease));
  }

  async holders(): Promise<Holder[]> {
    const entries = await ask(
      this.#host,
      (tenure) => tenure.run(({ locks }) => locks.entries(this.#target)),
    );
    return entries.flatMap(toHolder);
  }

  async break(): Promise<boolean> {
    return await order(this.#host, (tenure) => tenure.run(({ locks }) => locks.break(this.#target)));
  }

  async #acquire(options: AcquireOptions): Promise<HeldLease> {
    const { timeout } = options;
    if (timeout !== undefined) checkDuration("timeout", timeout);
    if (timeout === 0) {
      const until = this.#host.clock.now() + this.#host.timeout;
      const lease = await this.#try(options);
      if (lease) return lease;
      const late = new AcquireTimeoutError(`Cannot acquire lock "${this.name}" at once`, {
        driver: this.#host.driver,
      });
      throw await explain(this.#host, this.#target, late, until);
    }
    const entrant = { mode: checkMode(options.mode), wait: true, value: "" };
    const hold = await take(this.#host, this.#target, entrant, { signal: options.signal, timeout });
    // A waiting attempt ends with a grant or with an error.
    if (!hold) {
      throw new TypeError(
        `Cannot acquire lock "${this.name}": driver "${this.#host.driver}" gave up waiting`,
      );
    }
    return new HeldLease(this.#host, this.name, hold);
  }

  async #try(options: TryOptions): Promise<HeldLease | undefined> {
    const entrant = { mode: checkMode(options.mode), wait: false, value: "" };
    const hold = await take(this.#host, this.#target, entrant, {
      signal: options.signal,
      timeout: undefined,
    });
    return hold && new HeldLease(this.#host, this.name, hold);
  }
}

function toHolder(entry: Entry): Holder[] {
  const { memberId, mode, token, since } = entry;
  if (token === undefined) return [];
  return [{ memberId, mode, token, ...(since === undefined ? {} : { since: new Date(since) }) }];
}
