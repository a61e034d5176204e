import type { Cluster } from "../servers/cluster.ts";
import { startPostgresqlPair } from "../servers/postgresql_pair.ts";
import { startRedisSentinels } from "../servers/redis_sentinels.ts";

/** A product whose servers follow one of them, and take its place. */
export interface Followed {
  readonly cluster: () => Promise<Cluster>;
  /** So many holds may be granted to somebody else, at each fail-over, before their holder is told. */
  readonly forgets: number;
}

/** By the backend's name. */
export const FOLLOWED: Readonly<Record<string, Followed>> = {
  // The holder's connection ends with the primary, before the standby grants anything.
  postgresql_standby: { cluster: () => startPostgresqlPair(), forgets: 0 },
  // A replica may not have the one hold there is, whose holder is told at its next contact.
  redis_sentinel: { cluster: () => startRedisSentinels(), forgets: 1 },
};
