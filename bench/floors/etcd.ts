/** The least that etcd can do: put where nothing is, under a lease; delete what is as it was made; one txn each. */
import { Buffer } from "node:buffer";
import { Etcd3 } from "etcd3";

const KEY = Buffer.from("floor/lock");

/** One acquire and release a time, alone. */
export async function floor(url: string): Promise<{ once(): Promise<void>; close(): Promise<void> }> {
  const client = new Etcd3({ hosts: new URL(url).host });
  const { ID: lease } = await client.leaseClient.leaseGrant({ TTL: 3600 });
  const isMadeAt = (revision: string) =>
    ({ key: KEY, target: "Create", result: "Equal", create_revision: revision }) as const;
  return {
    async once() {
      const taken = await client.kv.txn({
        compare: [isMadeAt("0")],
        success: [{ request_put: { key: KEY, value: Buffer.from(crypto.randomUUID()), lease } }],
        failure: [],
      });
      if (!taken.succeeded) throw new Error("Cannot take the lock: somebody else holds it");
      await client.kv.txn({
        compare: [isMadeAt(taken.header.revision)],
        success: [{ request_delete_range: { key: KEY } }],
        failure: [],
      });
    },
    close: () => Promise.resolve(client.close()),
  };
}
