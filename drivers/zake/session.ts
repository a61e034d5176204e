import { type LockBrokenError, SessionLostError } from "../../core/errors.ts";
import type {
  Attempt,
  Entry,
  Grant,
  GroupSnapshot,
  GroupStore,
  Joining,
  LockStore,
  OpenOptions,
  Presence,
  Session,
  Target,
} from "../../driver.ts";
import { Latch } from "../../internal/latch.ts";
import { groupKey } from "./groups.ts";
import type { Link } from "./link.ts";
import { keyOf, type Resident, type World } from "./world.ts";

/** A client's side of a session in a world: what a driver of a real server would be. */
export class ZakeSession implements Session, Resident {
  readonly memberId: string;
  readonly incarnation: string;
  readonly namespace: string;
  readonly ttl: number;
  readonly ends = "expiry";
  readonly locks: LockStore;
  readonly groups: GroupStore;
  readonly #world: World;
  readonly #link: Link;
  readonly #lost = new AbortController();
  /** Cancels that it is disconnected without giving anything back. */
  #disconnectLater: () => void = () => {};

  constructor(world: World, link: Link, options: OpenOptions) {
    this.memberId = options.memberId;
    this.incarnation = options.incarnation;
    this.namespace = options.namespace;
    this.ttl = options.ttl;
    this.#world = world;
    this.#link = link;
    this.locks = {
      acquire: (attempt) => this.#acquire(attempt),
      entries: (target) => this.#request(() => world.entries(this.namespace, target)),
      watch: (target, signal) => this.#watchHolder(target, signal),
      break: (target) => this.#request(() => world.break(this.namespace, target)),
    };
    this.groups = {
      list: () => this.#request(() => world.groups.list(this.namespace)),
      create: (id) => this.#request(() => world.groups.create(this.namespace, id)),
      delete: (id) => this.#request(() => world.groups.delete(this.namespace, id)),
      join: (id, joining) => this.#join(id, joining),
      update: (id, ...rest) => this.#request(() => world.groups.update(this.namespace, id, ...rest)),
      remove: (id, ...rest) => this.#request(() => world.groups.remove(this.namespace, id, ...rest)),
      members: (id) => this.#request(() => world.groups.members(this.namespace, id)),
      watch: (id, signal) => this.#watchGroup(id, signal),
    };
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async beat(): Promise<void> {
    await this.#request(() => this.#world.touch(this));
  }

  close(): Promise<void> {
    this.#disconnectLater();
    // Across a cut the world hears nothing of it: there the session lives on until it expires.
    if (this.#link.whole) this.#world.dismiss(this);
    this.#link.close();
    this.#lose();
    return Promise.resolve();
  }

  /** The world ends it after its ttl; what waits may still leave its line. */
  abandon(): void {
    this.#disconnectLater = this.#world.clock.after(this.#link.timeout, () => {
      this.#link.close();
      this.#lose();
    });
  }

  /** The world says that the session is over. */
  expired(): void {
    this.#link.push(() => this.#lose());
  }

  async #acquire(attempt: Attempt): Promise<Grant | undefined> {
    const granted = Promise.withResolvers<bigint>();
    const broken = new AbortController();
    let breach: LockBrokenError | undefined;
    attempt.signal.throwIfAborted();
    const taken = await this.#request(() =>
      this.#world.claim(this, attempt, {
        granted: (token) => this.#link.push(() => granted.resolve(token)),
        broken: (reason) => {
          breach = reason;
          this.#link.push(() => broken.abort(reason));
        },
      })
    );
    if (!taken) return undefined;
    const token = await this.#unlessAborted(granted.promise, attempt);
    const ours = async (call: () => boolean) => {
      if (this.lost.aborted) return false;
      try {
        const done = await this.#request(call);
        // The answer says it before the news do, which may be on their way.
        if (breach) broken.abort(breach);
        return done;
      } catch (error) {
        if (error instanceof SessionLostError) return false;
        throw error;
      }
    };
    return {
      token,
      lost: broken.signal,
      check: () => ours(() => this.#world.holds(this, attempt, attempt.id)),
      update: (value) => ours(() => this.#world.proclaim(this, attempt, attempt.id, value)),
      release: () => ours(() => this.#world.quit(this, attempt, attempt.id)),
    };
  }

  /** Waits for a grant; when the caller gives up, leaves the line, or gives back what was granted meanwhile. */
  async #unlessAborted(granted: Promise<bigint>, attempt: Attempt): Promise<bigint> {
    const over = Promise.withResolvers<never>();
    over.promise.catch(() => {}); // Nobody waits for it while the attempt is taken back.
    const stop = (signal: AbortSignal) => () => over.reject(signal.reason);
    const [abort, lose] = [stop(attempt.signal), stop(this.lost)];
    attempt.signal.addEventListener("abort", abort, { once: true });
    this.lost.addEventListener("abort", lose, { once: true });
    try {
      // Either may have happened while the claim was on its way.
      attempt.signal.throwIfAborted();
      this.lost.throwIfAborted();
      return await Promise.race([granted, over.promise]);
    } catch (reason) {
      if (!this.lost.aborted) await this.#quit(attempt);
      throw reason;
    } finally {
      attempt.signal.removeEventListener("abort", abort);
      this.lost.removeEventListener("abort", lose);
    }
  }

  async #quit(attempt: Attempt): Promise<void> {
    const quit = () => this.#request(() => this.#world.quit(this, attempt, attempt.id));
    // While the member is partitioned the removal is tried until the link is whole or the session is over.
    const insist = async (): Promise<void> => {
      while (!this.lost.aborted && !await quit().then(() => true, () => false));
    };
    await quit().catch(() => void insist());
  }

  async #join(id: string, joining: Joining): Promise<Presence> {
    const removed = new AbortController();
    await this.#request(() =>
      this.#world.groups.join(this, id, joining, (why) => this.#link.push(() => removed.abort(why)))
    );
    return { lost: removed.signal };
  }

  #watchHolder(target: Target, signal: AbortSignal): AsyncIterable<Entry | undefined> {
    const key = keyOf(this.namespace, target);
    return this.#watch(
      key,
      signal,
      () => this.#world.entries(this.namespace, target).find((entry) => entry.token),
    );
  }

  async *#watchGroup(id: string, signal: AbortSignal): AsyncIterable<GroupSnapshot | undefined> {
    const key = groupKey(this.namespace, id);
    yield* this.#watch(key, signal, () => this.#world.groups.members(this.namespace, id));
  }

  /** Subscribes, then reads after every change. */
  async *#watch<T>(key: string, signal: AbortSignal, read: () => T): AsyncIterable<T> {
    const latch = new Latch();
    const ring = () => latch.ring();
    const unsubscribe = this.#world.subscribe(key, () => this.#link.push(ring));
    signal.addEventListener("abort", ring, { once: true });
    try {
      while (!signal.aborted) {
        yield await this.#request(read);
        if (!signal.aborted) await latch.wait(this.#world.clock);
      }
    } finally {
      signal.removeEventListener("abort", ring);
      unsubscribe();
    }
  }

  /** A request of a session that the world has forgotten is how a client finds out. */
  async #request<T>(call: () => T): Promise<T> {
    return await this.#link.request(() => {
      if (!this.#world.isLive(this)) this.#lose();
      this.lost.throwIfAborted();
      return call();
    });
  }

  #lose(): void {
    const { memberId } = this;
    this.#lost.abort(
      new SessionLostError(`Cannot keep the session of "${memberId}": it expired`, { driver: "zake" }),
    );
    this.#link.close();
  }
}
