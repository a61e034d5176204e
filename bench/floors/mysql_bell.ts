/** The least that a hand-over on MySQL or MariaDB can be: a user lock given back wakes who waits for it, then one trip. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RowDataPacket } from "mysql2/promise";
import type { Bell } from "../backends.ts";
import { acquire, connect, release } from "./mysql.ts";

export async function bell(url: string, side: "left" | "right"): Promise<Bell> {
  const [speaker, listener] = [await connect(url), await connect(url)];
  const other = side === "left" ? "right" : "left";
  let [rings, heards] = [0, 0];
  // Of the locks that the other end waits for, one after the other, the next two are ours.
  for (const n of [0, 1]) await speaker.query(`do get_lock('floor.${other}.${n}', 0)`);
  const wait = async () => {
    const n = heards++;
    const name = `'floor.${side}.${n}'`;
    // The other end has had all but the first since before the ring that came last.
    for (; n === 0; await sleep(1)) {
      const [[row]] = await listener.query<RowDataPacket[]>(`select is_used_lock(${name}) as holder`);
      if (row?.holder) break;
    }
    await listener.query(`select get_lock(${name}, 600), release_lock(${name})`);
  };
  let waiting = wait();
  waiting.catch(() => {}); // Closing ends it.
  return {
    async ring() {
      const n = rings++;
      await speaker.query(`do release_lock('floor.${other}.${n}'), get_lock('floor.${other}.${n + 2}', 0)`);
    },
    async heard() {
      await waiting;
      await acquire(speaker, side);
      waiting = release(speaker, side).then(wait);
      waiting.catch(() => {});
    },
    close: () => Promise.resolve([speaker, listener].forEach((connection) => connection.destroy())),
  };
}
