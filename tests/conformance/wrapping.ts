import type { Opener, Session } from "../../driver.ts";

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
