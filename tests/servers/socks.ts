import { once } from "node:events";
import type { Socket } from "node:net";

/** What follows the code of an answer: an address, which nobody looks at. */
const ADDRESS = [0, 1, 0, 0, 0, 0, 0, 0];

const NO_LOGIN = Uint8Array.of(5, 0);
export const GRANTED = Uint8Array.of(5, 0, ...ADDRESS);
export const REFUSED = Uint8Array.of(5, 5, ...ADDRESS);

async function message(socket: Socket): Promise<Uint8Array> {
  // The client waits for our answer before it says more, so what it says arrives alone, and is short.
  const [bytes] = await once(socket, "data");
  return bytes;
}

/** The port that a new connection wants to go to, in SOCKS 5 (RFC 1928). It still waits for the answer. */
export async function wantedPort(socket: Socket): Promise<number> {
  await message(socket);
  socket.write(NO_LOGIN);
  const [high = 0, low = 0] = (await message(socket)).slice(-2);
  return high * 256 + low;
}
