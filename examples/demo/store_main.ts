/** The process that owns the output: serves one {@linkcode Store} to the workers. */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { eachLine, endWithInput, inputLines, readSettings, tell } from "./lines.ts";
import type { StoreCall, StoreSettings } from "./messages.ts";
import { Store } from "./store.ts";

const lines = inputLines();
const store = new Store(await readSettings<StoreSettings>(lines), tell);

async function answer(socket: Socket, line: string): Promise<void> {
  // Our own client wrote it.
  const { id, ...call } = JSON.parse(line) as StoreCall & { id: number };
  const value = call.call === "pending"
    ? store.pending()
    : call.call === "totals"
    ? await store.totals()
    : call.call === "claim"
    ? store.claim(call)
    : store.write(call, call.result);
  socket.write(`${JSON.stringify({ id, value })}\n`);
}

const server = createServer((socket) => eachLine(socket, (line) => void answer(socket, line)));
server.listen(0, "127.0.0.1", () => {
  tell({ type: "listening", port: (server.address() as AddressInfo).port }); // It listens on TCP.
});
await endWithInput(lines, () => {});
