/**
 * The judge: a process of its own that shares no code with what it judges. Keeps a log that is only appended to, one
 * line for each thing it is told, in the order in which that arrived; answers each line, so that its speaker can wait
 * until it is written down.
 *
 *     deno run -A tools/soak/judge.ts LOG
 *
 * Lines: `enter WORKER LOCK TOKEN`, `leave …`, `lost …`, `doom WORKER`; and two that are answered with JSON: `tally`, `holders`.
 */
import { openSync, writeSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { Book } from "./book.ts";

const book = new Book();
const log = openSync(process.argv[2] ?? "/dev/null", "a");
let sequence = 0;

function hear(line: string): string {
  const [verb = "", worker = "", lock = "", token = "0"] = line.split(" ");
  if (verb === "tally") return JSON.stringify(book.tally);
  if (verb === "holders") return JSON.stringify(book.holders);
  writeSync(log, `${++sequence} ${performance.now().toFixed(3)} ${line}\n`);
  if (verb === "enter") book.enter(worker, lock, BigInt(token));
  else if (verb === "leave") book.leave(worker, lock, BigInt(token));
  else if (verb === "lost") book.lost(worker, lock, BigInt(token));
  else if (verb === "doom") book.doom(worker);
  else return `unknown ${verb}`;
  return "ok";
}

function serve(socket: Socket): void {
  const lines = createInterface({ input: socket });
  // A killed worker's connection breaks off; Node passes that on to the reader of lines.
  for (const emitter of [socket, lines]) emitter.on("error", () => {});
  socket.setNoDelay(true);
  lines.on("line", (line) => void socket.write(`${hear(line)}\n`));
}

const server = createServer(serve);
server.listen(0, "127.0.0.1", () => {
  console.log((server.address() as AddressInfo).port); // It listens on TCP.
});
process.stdin.on("end", () => process.exit(0)).resume();
