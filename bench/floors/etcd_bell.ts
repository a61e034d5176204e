/** The least that a hand-over on etcd between two processes can be: put to watch event, then one linearizable read. */
import { Etcd3 } from "etcd3";
import type { Bell } from "../backends.ts";

export async function bell(url: string, side: "left" | "right"): Promise<Bell> {
  const client = new Etcd3({ hosts: new URL(url).host });
  let rung = Promise.withResolvers<void>();
  const watcher = await client.watch().key(`floor/${side}`).create();
  watcher.on("put", () => rung.resolve());
  const other = side === "left" ? "right" : "left";
  return {
    ring: async () => void await client.put(`floor/${other}`).value(""),
    async heard() {
      await rung.promise;
      rung = Promise.withResolvers();
      await client.get("floor/lock");
    },
    close: () => Promise.resolve(client.close()),
  };
}
