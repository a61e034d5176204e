import * as fs from "node:fs";
import process from "node:process";

/** What Linux says of the thread that runs the event loop: ns on a processor, ns ready but kept waiting for one. */
const SCHEDULED = `/proc/self/task/${process.pid}/schedstat`;

/**
 * For how long, in ms, one turn of the event loop had its thread at most, busy or blocked, until something has
 * happened. The time for which others had the processor is left out, since that is the machine's affair.
 */
export async function longestTurn(happening: Promise<unknown>): Promise<number> {
  let [longest, isOver] = [0, false];
  const over = () => isOver = true;
  happening.then(over, over);
  const file = fs.openSync(SCHEDULED, "r");
  try {
    let [last, kept] = [performance.now(), keptWaiting(file)];
    while (!isOver) {
      await new Promise((resolve) => setImmediate(resolve));
      const [now, keptSoFar] = [performance.now(), keptWaiting(file)];
      longest = Math.max(longest, now - last - (keptSoFar - kept));
      [last, kept] = [now, keptSoFar];
    }
  } finally {
    fs.closeSync(file);
  }
  await happening;
  return longest;
}

/** In ms, since the thread began. */
function keptWaiting(file: number): number {
  const bytes = new Uint8Array(128);
  const text = new TextDecoder().decode(bytes.subarray(0, fs.readSync(file, bytes, 0, bytes.length, 0)));
  return Number(text.split(" ")[1]) / 1e6;
}
