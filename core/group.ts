import type { GroupSnapshot } from "../driver.ts";
import { either } from "./abort.ts";
import { askUntil, orderUntil } from "./asking.ts";
import type { Group, GroupEvent, GroupWatch, JoinOptions, Member, Membership } from "./api/group.ts";
import type { Partitioner, PartitionOptions } from "./api/partition.ts";
import { encode } from "./capabilities.ts";
import {
  GroupAlreadyExistError,
  GroupNotCreatedError,
  MemberAlreadyExistError,
  MemberNotJoinedError,
} from "./errors.ts";
import { GroupView, toMember } from "./group_view.ts";
import type { Host } from "./host.ts";
import { JoinedMembership } from "./membership.ts";
import { checkName } from "./names.ts";
import { partition } from "./partitioner.ts";
import type { Tenure } from "./tenure.ts";
import { LevelWatch, type Read } from "./watch.ts";

/** How often a join with `create` starts again when somebody deletes the group in between. */
const TRIES = 5;

/** What groups need of their coordinator beside what all do. */
export interface GroupHost extends Host {
  /**
   * Runs the calls of one group one after the other, in the order in which they were made. Each is told its deadline,
   * by the clock, which began to run when it was asked for; `gaveUp` is called when that is over.
   * @throws {ConnectionError} after the deadline
   */
  inOrder<T>(
    group: string,
    call: (until: number) => Promise<T>,
    gaveUp?: () => void,
  ): Promise<T>;
  /** This coordinator's own memberships by group. */
  readonly memberships: Map<string, JoinedMembership<unknown>>;
}

/** A group by its id; it holds no state. */
export class NamedGroup<C> implements Group<C> {
  readonly id: string;
  readonly #host: GroupHost;

  constructor(host: GroupHost, id: string) {
    this.#host = host;
    this.id = id;
  }

  async create(): Promise<void> {
    await this.#order((tenure) => tenure.session.groups.create(this.id));
  }

  async delete(): Promise<void> {
    await this.#order((tenure) => tenure.session.groups.delete(this.id));
  }

  async join(capabilities?: C, options: JoinOptions = {}): Promise<Membership<C>> {
    const { signal } = options;
    signal?.throwIfAborted();
    const data = encode(capabilities === undefined ? {} : capabilities, this.#host.driver);
    let isLate = false;
    const joining = this.#ask(async (tenure) => {
      const membership = await this.#join(tenure, data, options);
      // Nobody waits for it any more, and the calls after this one have not begun.
      if (isLate || signal?.aborted) await membership.undo();
      return membership;
    }, () => {
      isLate = true;
    });
    if (!signal) return await joining;
    try {
      return await either(joining, signal);
    } catch (error) {
      // Given up while the join was on its way: what comes of it is undone.
      void joining.then((membership) => membership[Symbol.asyncDispose](), () => {});
      throw error;
    }
  }

  async leave(): Promise<void> {
    await this.#order(async (tenure) => {
      const remove = () => tenure.session.groups.remove(this.id, this.#host.memberId);
      const own = this.#own();
      await (own ? own.leaveBy(remove) : remove());
    });
  }

  async update(capabilities: C): Promise<void> {
    const data = encode(capabilities, this.#host.driver);
    await this.#order((tenure) => tenure.session.groups.update(this.id, this.#host.memberId, data));
  }

  async members(): Promise<Map<string, Member<C>>> {
    const { members } = await this.#ask((tenure) => tenure.session.groups.members(this.id));
    const { driver } = this.#host;
    return new Map([...members].map(([id, record]) => [id, toMember<C>(id, record, driver)]));
  }

  async member(id: string): Promise<Member<C>> {
    checkName("member id", id);
    const { driver } = this.#host;
    const { members } = await this.#ask((tenure) => tenure.session.groups.members(this.id));
    const record = members.get(id);
    if (record) return toMember<C>(id, record, driver);
    throw new MemberNotJoinedError(`Cannot find member "${id}" in group "${this.id}": it has not joined`, {
      driver,
    });
  }

  async watch(options: { signal?: AbortSignal } = {}): Promise<GroupWatch<C>> {
    const { signal } = options;
    signal?.throwIfAborted();
    const view = new GroupView<C>();
    // The calls made before this one come first.
    const turn = this.#host.inOrder(this.id, () => Promise.resolve());
    await (signal ? either(turn, signal) : turn);
    const read = readOn(this.id);
    const watch = await LevelWatch.open(this.#host, view, read, signal);
    return new WatchedGroup(view, watch);
  }

  async partition(options: PartitionOptions<C> = {}): Promise<Partitioner> {
    return await partition(this, this.#host, options);
  }

  async #join(tenure: Tenure, data: string, options: JoinOptions): Promise<JoinedMembership<C>> {
    options.signal?.throwIfAborted();
    const own = this.#own();
    if (own && !options.replace && await own.isPresent()) {
      throw new MemberAlreadyExistError(
        `Cannot join group "${this.id}": "${this.#host.memberId}" is a member already`,
        {
          driver: this.#host.driver,
        },
      );
    }
    const presence = crypto.randomUUID();
    const { groups } = tenure.session;
    const joining = { presence, data, replace: options.replace ?? false };
    for (let tries = 1;; tries++) {
      if (options.create) await groups.create(this.id).catch(ignoreExisting);
      try {
        const joined = await groups.join(this.id, joining);
        const membership = new JoinedMembership<C>(this.#host, tenure, this.id, presence, joined);
        own?.lose(own.gone());
        this.#host.memberships.set(this.id, membership);
        return membership;
      } catch (error) {
        if (!options.create || !(error instanceof GroupNotCreatedError) || tries === TRIES) throw error;
      }
    }
  }

  /** This coordinator's own live membership. */
  #own(): JoinedMembership<unknown> | undefined {
    const own = this.#host.memberships.get(this.id);
    if (own?.live) return own;
    this.#host.memberships.delete(this.id);
    return undefined;
  }

  #ask<T>(call: (tenure: Tenure) => Promise<T>, gaveUp?: () => void): Promise<T> {
    const run = (tenure: Tenure) => tenure.run(() => call(tenure));
    return this.#host.inOrder(this.id, (until) => askUntil(this.#host, run, until), gaveUp);
  }

  #order<T>(call: (tenure: Tenure) => Promise<T>): Promise<T> {
    const run = (tenure: Tenure) => tenure.run(() => call(tenure));
    return this.#host.inOrder(this.id, (until) => orderUntil(this.#host, run, until));
  }
}

class WatchedGroup<C> implements GroupWatch<C> {
  readonly #view: GroupView<C>;
  readonly #watch: LevelWatch<GroupSnapshot | undefined, GroupEvent<C>>;

  constructor(view: GroupView<C>, watch: LevelWatch<GroupSnapshot | undefined, GroupEvent<C>>) {
    this.#view = view;
    this.#watch = watch;
  }

  get members(): ReadonlyMap<string, Member<C>> {
    return this.#view.members;
  }

  get fresh(): boolean {
    return this.#watch.fresh;
  }

  [Symbol.asyncIterator](): AsyncIterator<GroupEvent<C>> {
    return this.#watch.iterate();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#watch.end();
  }
}

/**
 * Reads a group's snapshots. One that was deleted while the watch was away is as one deleted before its eyes, also where
 * another of its id was made since.
 */
function readOn(id: string): Read<GroupSnapshot | undefined> {
  let life: string | undefined;
  return async function* (session, signal) {
    try {
      for await (const snapshot of session.groups.watch(id, signal)) {
        life ??= snapshot?.life;
        if (snapshot?.life !== life) return void (yield undefined);
        yield snapshot;
      }
    } catch (error) {
      if (life === undefined || !(error instanceof GroupNotCreatedError)) throw error;
      yield undefined;
    }
  };
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof GroupAlreadyExistError)) throw error;
}
