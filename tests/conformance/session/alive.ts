// A program that opens a coordinator and has nothing else to do; with "close" it closes it again.
import process from "node:process";
import { getCoordinator } from "../../../mod.ts";

const { url, options, close } = JSON.parse(process.env.COORD_ALIVE ?? "{}");
const coord = await getCoordinator(url, options);
await using lease = await coord.lock("alive").acquire();
if (close) {
  await lease.release();
  await coord.group("alive").join({}, { create: true });
  await coord.close();
}
process.stdout.write("ready\n");
if (!close) await new Promise<never>(() => {}); // Not a timer, nor a socket: nothing that a runtime would wait for.
