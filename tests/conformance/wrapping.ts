import type { GroupStore, LockStore, Opener, Session } from "../../driver.ts";

/** The opener of a backend, of whose sessions some members are replaced. */
export function withSessions(
  { driver, characteristics, clock, defaults, open }: Opener,
  change: (session: Session) => Partial<Session>,
): Opener {
  return {
    driver,
    characteristics,
    clock,
    defaults,
    open: async (options) => {
      const session = await open(options);
      return {
        ttl: session.ttl,
        ends: session.ends,
        lost: session.lost,
        locks: session.locks,
        groups: session.groups,
        beat: () => session.beat(),
        close: () => session.close(),
        abandon: (until) => session.abandon(until),
        ...change(session),
      };
    },
  };
}

/** Leaves the groups of a session as they are, but for some calls. */
export function withGroups(
  change: (groups: GroupStore) => Partial<GroupStore>,
): (session: Session) => Partial<Session> {
  return (session) => {
    const { groups } = throughout(session, (call) => call);
    return { groups: { ...groups, ...change(session.groups) } };
  };
}

/** Leaves the locks of a session as they are, but makes its attempts in another way. */
export function withAcquire(
  acquire: (locks: LockStore) => LockStore["acquire"],
): (session: Session) => Partial<Session> {
  return (session) => {
    const { locks } = throughout(session, (call) => call);
    return { locks: { ...locks, acquire: acquire(session.locks) } };
  };
}

/** What is done with a call. */
export type Wrap = <A extends unknown[], T>(call: (...parts: A) => Promise<T>) => (...parts: A) => Promise<T>;

/** The locks and groups of a session, of which every call goes through `wrap`, but for watches. */
export function throughout({ locks, groups }: Session, wrap: Wrap): Pick<Session, "locks" | "groups"> {
  return {
    locks: {
      acquire: wrap((attempt) => locks.acquire(attempt)),
      entries: wrap((target) => locks.entries(target)),
      watch: (target, signal) => locks.watch(target, signal),
      break: wrap((target) => locks.break(target)),
    },
    groups: {
      list: wrap(() => groups.list()),
      create: wrap((id) => groups.create(id)),
      delete: wrap((id) => groups.delete(id)),
      join: wrap((id, joining) => groups.join(id, joining)),
      update: wrap((...parts) => groups.update(...parts)),
      remove: wrap((...parts) => groups.remove(...parts)),
      members: wrap((id) => groups.members(id)),
      watch: (id, signal) => groups.watch(id, signal),
    },
  };
}
