import type { Taking } from "../../internal/sql/store.ts";
import { livesOn, turnstile } from "./names.ts";
import { bind, type Bound, NOW, sql } from "./sql.ts";

/** What a try is for. */
export interface Wanted {
  readonly base: string;
  readonly generation: bigint;
  /** The lock's own user lock. */
  readonly h: string;
  /** The user lock that shall be held: H, or a reader's own. */
  readonly held: string;
}

/** Who tries. */
export interface Taker {
  readonly session: string;
  readonly memberId: string;
}

/**
 * Takes H, then looks, in this order, whether that is enough; only then is there a row, whose number is the token. Where
 * nothing is inserted, H may be held all the same.
 * @param wait How long it waits for H, in s: only tests, which show that order, let it.
 */
export function takeStatement(
  { attempt, mode, value, isHead }: Taking,
  { base, generation, h, held }: Wanted,
  { session, memberId }: Taker,
  wait = 0,
): Bound {
  const isShared = mode === "shared";
  const isFree = isHead ? bind`1 = 1` : bind`is_free_lock(${turnstile(base)}) = 1`;
  const isOwn = isShared ? bind`get_lock(${held}, 0) = 1` : bind`1 = 1`;
  const isBroken = bind`mode = 'g' and gen > ${generation}`;
  const isRead = bind`mode = 's' and gen = ${generation} and is_used_lock(held) = ${livesOn("session")}`;
  const inTheWay = isShared ? isBroken : bind`mode in ('g', 's') and (${isBroken} or ${isRead})`;
  return bind`insert into tooz_hold (base, mode, gen, held, session, member, attempt, value, since)
    select ${base}, ${isShared ? "s" : "e"}, ${generation}, ${held}, ${session}, ${memberId}, ${attempt},
      ${value}, ${NOW} from (select 1) one
    where case when ${isFree} then
      case when get_lock(${h}, ${sql`${wait}`}) = 1 then
        case when ${isOwn} then (select count(*) from tooz_hold other where base = ${base} and ${inTheWay})
        else 1 end
      else 1 end
    else 1 end = 0`;
}
