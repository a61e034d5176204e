/** The least that a hand-over on ZooKeeper between two processes can be: change to watch event, then one round trip. */
import { Buffer } from "node:buffer";
import type { Bell } from "../backends.ts";
import { call, connect } from "./zookeeper.ts";

export async function bell(url: string, side: "left" | "right"): Promise<Bell> {
  const client = await connect(url);
  const other = side === "left" ? "right" : "left";
  for (const path of ["/floor-left", "/floor-right"]) await call((done) => client.mkdirp(path, done));
  let rung = Promise.withResolvers<void>();
  // A watch fires once: what looks after the event also waits for the next one.
  const look = () =>
    call((done) => {
      const { resolve } = rung = Promise.withResolvers();
      client.getData(`/floor-${side}`, () => resolve(), done);
    });
  await look();
  return {
    ring: () => call((done) => client.setData(`/floor-${other}`, Buffer.from(""), -1, done)),
    async heard() {
      await rung.promise;
      await look();
    },
    close: () => Promise.resolve(client.close()),
  };
}
