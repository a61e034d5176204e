/** The least that memcached can do: set the item with token and owner as the version that was seen, set it free as that. */
import { connect } from "node:net";
import { parseAddress, serversOf } from "../../internal/url.ts";

/** One acquire and release a time, alone. */
export async function floor(url: string): Promise<{ once(): Promise<void>; close(): Promise<void> }> {
  const [server = { host: "127.0.0.1", port: 11211 }] = serversOf(parseAddress(url), 11211);
  const socket = connect({ ...server, noDelay: true });
  let answered: (line: string) => void = () => {};
  socket.on("data", (bytes) => answered(String(bytes)));
  await new Promise((resolve) => socket.once("connect", resolve));
  const set = async (value: string, condition: string): Promise<string> => {
    const { promise, resolve } = Promise.withResolvers<string>();
    answered = resolve;
    socket.write(`ms floor ${value.length} c ${condition}\r\n${value}\r\n`);
    const [, cas] = /^HD c(\d+)/.exec(await promise) ?? [];
    if (cas === undefined) throw new Error("Cannot set the lock: somebody else has");
    return cas;
  };
  let token = 0;
  let cas = await set(`${token}`, "MS");
  return {
    async once() {
      cas = await set(`${++token} ${crypto.randomUUID()}`, `C${cas}`);
      cas = await set(`${token}`, `C${cas}`);
    },
    close: () => Promise.resolve(void socket.destroy()),
  };
}
