/** The least that ZooKeeper can do: make a node of one's own and list the line in one trip, then remove the node. */
import { Buffer } from "node:buffer";
import { type Client, createClient, CreateMode } from "node-zookeeper-client";

const LINE = "/floor-line";

export async function connect(url: string): Promise<Client> {
  const client = createClient(new URL(url).host, { sessionTimeout: 30_000 });
  await new Promise<void>((resolve) => {
    client.once("connected", resolve);
    client.connect();
  });
  return client;
}

/** Makes a promise of a call that calls back; T is what the call gives. */
export function call<T>(start: (done: (error: unknown, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) =>
    start((error, value) => error ? reject(error) : resolve(value as T))
  );
}

/** One acquire and release a time, alone. */
export async function floor(url: string): Promise<{ once(): Promise<void>; close(): Promise<void> }> {
  const client = await connect(url);
  await call((done) => client.mkdirp(LINE, done));
  const data = Buffer.from("");
  return {
    async once() {
      const [path] = await Promise.all([
        call<string>((done) => client.create(`${LINE}/entry-`, data, CreateMode.EPHEMERAL_SEQUENTIAL, done)),
        call((done) => client.getChildren(LINE, done)),
      ]);
      await call((done) => client.remove(path, -1, done));
    },
    close: () => Promise.resolve(client.close()),
  };
}
