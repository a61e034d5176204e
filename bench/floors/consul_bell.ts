/** The least that a hand-over on Consul between two processes can be: put to blocking query, then one round trip. */
import type { Bell } from "../backends.ts";
import { connect } from "./consul.ts";

/** The server ends a query by itself only after that. */
const WAIT = "10m";

export async function bell(url: string, side: "left" | "right"): Promise<Bell> {
  const client = connect(url);
  const key = `floor/${side}`;
  await client.kv.set(key, "");
  const next = (index: number): Promise<number> => {
    const query = { key, index, wait: WAIT };
    const answer = client.kv.get(query).then((pair) => pair?.ModifyIndex ?? index);
    answer.catch(() => {}); // It may still be waiting when the server goes.
    return answer;
  };
  let index = await next(0);
  let rung = next(index);
  const other = side === "left" ? "right" : "left";
  return {
    ring: () => client.kv.set(`floor/${other}`, crypto.randomUUID()),
    async heard() {
      index = await rung;
      rung = next(index);
      await client.kv.get("floor/lock");
    },
    close: () => Promise.resolve(client.destroy()),
  };
}
