import type { Entry, Mode } from "../../driver.ts";
import type { Row } from "./answers.ts";

/** Holders, then waiters in order, from rows of token, mode, session, member, attempt, value, since, life, generation. */
export function readEntries(waiting: readonly Row[], rows: readonly Row[]): Entry[] {
  const generation = rows.reduce(
    (most, [, mode, , , , , , , gen]) => mode === "g" && BigInt(gen ?? 0) > most ? BigInt(gen ?? 0) : most,
    0n,
  );
  const held = rows.filter(([, mode, , , , , , lives, gen]) =>
    mode !== "g" && lives === "1" && BigInt(gen ?? 0) === generation
  );
  const readers = held.filter(([, mode]) => mode === "s");
  // Rows that were given back are removed later: of those of one session the last one counts.
  const holders = readers.length > 0 ? readers : held.slice(-1);
  const entries = [...holders, ...waiting.filter(([, , , , , , , lives]) => lives === "1")];
  // One that was waited for again, or is held by now, has two rows.
  return [...new Map(entries.reverse().map((row) => [row[4], toEntry(row)])).values()].reverse();
}

function toEntry([token, mode, , memberId, attempt, value, since]: Row): Entry {
  const held = token === null || token === undefined ? {} : { token: BigInt(token) };
  const read: Mode = mode === "s" ? "shared" : "exclusive";
  return {
    memberId: memberId ?? "",
    attempt: attempt ?? "",
    mode: read,
    ...held,
    since: Number(since),
    value: value ?? "",
  };
}
