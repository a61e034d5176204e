/**
 * The least of a ZooKeeper client: one session for one write or read, with a deadline. It is our own because that of
 * the driver may throw outside of any promise while its server comes and goes.
 */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";

const PATH = "/kept";
const DEADLINE = 3000;
const SESSION_TIMEOUT = 2000;

const CREATE = int(1);
const GET_DATA = int(4);
const ANYONE_MAY_ALL = [int(1), int(31), bytes("world"), bytes("anyone")];

/** What asks for a session: nothing seen so far, no session before, no password, not read-only. */
const HELLO = [int(0), zeros(8), int(SESSION_TIMEOUT), zeros(8), bytes(zeros(16)), zeros(1)];

/** Where an answer has its error code, and where its content begins. */
const CODE = 12;
const CONTENT = 16;

function int(value: number): Buffer {
  const buffer = zeros(4);
  buffer.writeInt32BE(value);
  return buffer;
}

function zeros(length: number): Buffer {
  return Buffer.alloc(length);
}

function bytes(value: Buffer | string): Buffer {
  const buffer = Buffer.from(value);
  return Buffer.concat([int(buffer.length), buffer]);
}

function message(parts: readonly Buffer[]): Buffer {
  return bytes(Buffer.concat(parts));
}

async function* messages(socket: Socket): AsyncGenerator<Buffer> {
  let pending = zeros(0);
  for await (const chunk of socket) {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE()) {
      const end = 4 + pending.readInt32BE();
      yield pending.subarray(4, end);
      pending = pending.subarray(end);
    }
  }
}

/** Sends a request in a session of its own, and resolves with the content of the answer. */
async function ask(port: number, request: readonly Buffer[]): Promise<Buffer> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}); // Who reads the messages hears of it.
  const late = () => socket.destroy(new Error(`no answer in ${DEADLINE} ms`));
  const timer = setTimeout(late, DEADLINE);
  const answers = messages(socket);
  try {
    socket.write(message(HELLO));
    await answers.next();
    socket.write(message([int(1), ...request]));
    const { value: answer } = await answers.next();
    if (!answer) throw new Error("the server closed the connection");
    if (answer.readInt32BE(CODE) !== 0) throw new Error(`the server answers ${answer.readInt32BE(CODE)}`);
    return answer.subarray(CONTENT);
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

/** Makes a node that nobody has made. */
export async function writeNode(port: number, value: string, path = PATH): Promise<void> {
  await ask(port, [CREATE, bytes(path), bytes(value), ...ANYONE_MAY_ALL, int(0)]);
}

export async function readNode(port: number, path = PATH): Promise<string> {
  const content = await ask(port, [GET_DATA, bytes(path), zeros(1)]);
  return content.subarray(4, 4 + content.readInt32BE()).toString();
}
