/** The least that a hand-over on PostgreSQL can be: an advisory lock given back wakes who waits for it with a token. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Bell } from "../backends.ts";
import { connect } from "./postgresql.ts";

const SIDES = { left: 1_000_000_000, right: 2_000_000_000 };
const IS_HELD = `select from pg_locks where locktype = 'advisory' and granted and classid = 0 and objid = $1`;
const TAKE = { name: "take", text: "select pg_advisory_lock($1), nextval('floor_token')" };
const RING = { name: "ring", text: "select pg_advisory_unlock($1), pg_try_advisory_lock($2)" };

export async function bell(url: string, side: "left" | "right"): Promise<Bell> {
  const [speaker, listener] = [await connect(url), await connect(url)];
  const other = SIDES[side === "left" ? "right" : "left"];
  const { rows: [{ pid }] } = await listener.query("select pg_backend_pid() as pid");
  let [rings, heards] = [0, 0];
  // Of the locks that the other end waits for, one after the other, the next two are ours.
  for (const n of [0, 1]) await speaker.query("select pg_try_advisory_lock($1)", [other + n]);
  const wait = async () => {
    const key = SIDES[side] + heards++;
    // The other end may not have begun yet; later ones it has locked before it rang.
    while (heards === 1 && (await listener.query(IS_HELD, [key])).rowCount === 0) await sleep(1);
    await listener.query({ ...TAKE, values: [key] });
  };
  let waiting = wait();
  waiting.catch(() => {}); // Closing ends it.
  return {
    ring: async () => void await speaker.query({ ...RING, values: [other + rings, other + rings++ + 2] }),
    async heard() {
      await waiting;
      waiting = listener.query("select pg_advisory_unlock_all()").then(wait);
      waiting.catch(() => {}); // As above.
    },
    // A connection that waits does not end in good order: the server ends it when it is asked to.
    async close() {
      await speaker.query("select pg_terminate_backend($1)", [pid]);
      await speaker.end();
    },
  };
}
