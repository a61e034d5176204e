import type { Characteristic } from "../characteristics.ts";
import type { Clock, Opener } from "../driver.ts";
import { bounded } from "./abort.ts";
import { ask } from "./asking.ts";
import type { Coordinator, CoordinatorOptions, State } from "./api/coordinator.ts";
import type { Election } from "./api/election.ts";
import type { Group } from "./api/group.ts";
import type { Lock } from "./api/lock.ts";
import { NamedElection } from "./election.ts";
import { ClosedError, ConnectionError } from "./errors.ts";
import { type GroupHost, NamedGroup } from "./group.ts";
import type { Owned } from "./host.ts";
import { NamedLock } from "./lock.ts";
import type { JoinedMembership } from "./membership.ts";
import { checkDuration, checkName } from "./names.ts";
import { demand, type Settings, settle } from "./options.ts";
import { Sessions } from "./sessions.ts";
import type { Tenure } from "./tenure.ts";

/** Opens a coordinator on a backend that was resolved. */
export async function openCoordinator(opener: Opener, options: CoordinatorOptions): Promise<Coordinator> {
  const settings = settle(opener, options);
  demand(opener, options.characteristics);
  options.signal?.throwIfAborted();
  const sessions = new Sessions(opener, settings);
  await sessions.open(options.signal);
  return new OpenCoordinator(opener, settings, sessions);
}

class OpenCoordinator implements Coordinator, GroupHost {
  readonly memberId: string;
  readonly driver: string;
  readonly characteristics: ReadonlySet<Characteristic>;
  readonly clock: Clock;
  readonly memberships = new Map<string, JoinedMembership<unknown>>();
  readonly #sessions: Sessions;
  readonly #owned = new Set<Owned>();
  readonly #orders = new Map<string, Promise<unknown>>();
  #closed: Promise<void> | undefined;
  #emptied: () => void = () => {};

  constructor(opener: Opener, settings: Settings, sessions: Sessions) {
    this.memberId = settings.memberId;
    this.driver = opener.driver;
    this.characteristics = opener.characteristics;
    this.clock = opener.clock;
    this.#sessions = sessions;
  }

  get state(): State {
    return this.#sessions.state;
  }

  get session(): { readonly signal: AbortSignal; readonly ttl: number } {
    const { signal, session } = this.#sessions.last;
    return { signal, ttl: session.ttl };
  }

  get closing(): AbortSignal {
    return this.#sessions.closing;
  }

  get timeout(): number {
    return this.#sessions.last.timeout;
  }

  states(): AsyncIterable<State> {
    return this.#sessions.states();
  }

  lock(name: string): Lock {
    return new NamedLock(this, checkName("lock name", name));
  }

  group<C = unknown>(id: string): Group<C> {
    return new NamedGroup<C>(this, checkName("group id", id));
  }

  election(id: string): Election {
    return new NamedElection(this, checkName("election id", id));
  }

  async groups(): Promise<string[]> {
    return await ask(this, (tenure) => tenure.run(({ groups }) => groups.list()));
  }

  async heartbeat(): Promise<number> {
    const beating = this.tenure().then((tenure) => tenure.beat());
    return await this.inTime(beating, this.clock.now() + this.timeout);
  }

  async close({ grace = 0 }: { grace?: number } = {}): Promise<void> {
    checkDuration("grace", grace);
    await (this.#closed ??= this.#close(grace));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get present(): Tenure | undefined {
    return this.#sessions.present;
  }

  tenure(until?: number): Promise<Tenure> {
    return this.#sessions.tenure(until);
  }

  nextTenure(signal: AbortSignal): Promise<Tenure> {
    return this.#sessions.nextTenure(signal);
  }

  adopt(owned: Owned): () => void {
    this.#owned.add(owned);
    if (this.closing.aborted) owned.retire(this.closing.reason);
    return () => {
      this.#owned.delete(owned);
      if (this.#owned.size === 0) this.#emptied();
    };
  }

  inTime<T>(call: Promise<T>, until: number, gaveUp?: () => void): Promise<T> {
    return this.#sessions.deadlines.inTime(call, until, gaveUp);
  }

  inOrder<T>(
    group: string,
    call: (until: number) => Promise<T>,
    gaveUp?: () => void,
  ): Promise<T> {
    const until = this.clock.now() + this.timeout;
    const result = (this.#orders.get(group) ?? Promise.resolve()).then(() => {
      // The calls before this one may have used up its time.
      if (this.clock.now() < until) return call(until);
      throw new ConnectionError(`Cannot call group "${group}": the calls before this one took too long`, {
        driver: this.driver,
      });
    });
    const settled = result.then(() => {}, () => {}).then(() => {
      if (this.#orders.get(group) === settled) this.#orders.delete(group);
    });
    this.#orders.set(group, settled);
    return this.inTime(result, until, gaveUp);
  }

  async #close(grace: number): Promise<void> {
    const reason = new ClosedError("Cannot use the coordinator: it is closed", { driver: this.driver });
    this.#sessions.retire(reason);
    const emptied = Promise.withResolvers<void>();
    this.#emptied = emptied.resolve;
    for (const owned of [...this.#owned]) owned.retire(reason);
    if (this.#owned.size > 0 && grace > 0) await bounded(this.clock, emptied.promise, grace);
    await this.#sessions.close(reason);
  }
}
