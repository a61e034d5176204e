/** The least that Consul can do: lock a key of one's own and list the line in one transaction, then delete the key. */
import { Agent } from "node:http";
import Consul from "consul";

/** On Deno a connection that is used again may repeat a request; so each has its own, as in the driver. */
export function connect(url: string): Consul {
  const { hostname, port } = new URL(url);
  return new Consul({ host: hostname, port: Number(port), agent: new Agent({ keepAlive: false }) });
}

/** One acquire and release a time, alone. */
export async function floor(url: string): Promise<{ once(): Promise<void>; close(): Promise<void> }> {
  const client = connect(url);
  // Its types do not know what the server takes.
  const transaction = client.transaction as unknown as { create(steps: object[]): Promise<unknown> };
  const { ID: session } = await client.session.create({ lockdelay: "0s" });
  return {
    async once() {
      const key = `floor/lock/${crypto.randomUUID()}`;
      const lock = { Verb: "lock", Key: key, Value: "", Session: session };
      await transaction.create([{ KV: lock }, { KV: { Verb: "get-tree", Key: "floor/lock/" } }]);
      await client.kv.del({ key });
    },
    close: async () => void await client.session.destroy(session),
  };
}
