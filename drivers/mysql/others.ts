import type { Answer } from "./answers.ts";
import { livesOn } from "./names.ts";
import { type Raw, sql } from "./sql.ts";

/** What else stands at a lock, as rows of mode and generation, the lock's holder, and its session's presence. */
export function others(base: string): Raw {
  return sql`select mode, gen, is_used_lock(held), ${livesOn("session")}, held, session
    from tooz_hold where base = ${base} and mode in ('g', 's')`;
}

/** What {@linkcode others} has answered. */
export interface Others {
  readonly generation: bigint;
  /** The user locks of the shared holds. */
  readonly readers: readonly string[];
  readonly sessions: readonly string[];
}

/** Those that live. */
export function readOthers({ rows }: Answer): Others {
  let generation = 0n;
  for (const [mode, gen] of rows) {
    if (mode === "g" && BigInt(gen ?? 0) > generation) generation = BigInt(gen ?? 0);
  }
  const live = rows.filter(([mode, gen, has, lives]) =>
    mode === "s" && BigInt(gen ?? 0) === generation && has !== null && has === lives
  );
  return {
    generation,
    readers: live.map(([, , , , held]) => held ?? ""),
    sessions: live.map(([, , , , , session]) => session ?? ""),
  };
}
