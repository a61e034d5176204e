import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";

/** A connection to the judge. What is said on it arrives in order. */
export class JudgeClient {
  readonly #socket: Socket;
  readonly #waiting: PromiseWithResolvers<string>[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    const lines = createInterface({ input: socket });
    for (const emitter of [socket, lines]) emitter.on("error", () => {}); // "close" tells.
    lines.on("line", (line) => this.#waiting.shift()?.resolve(line));
    socket.on("close", () => {
      for (const { reject } of this.#waiting.splice(0)) {
        reject(new Error("Cannot reach the judge: it is gone"));
      }
    });
  }

  static async open(port: number): Promise<JudgeClient> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new JudgeClient(socket);
  }

  /** Resolves when the judge has written it down. */
  async say(line: string): Promise<string> {
    const answer = Promise.withResolvers<string>();
    this.#waiting.push(answer);
    this.#socket.write(`${line}\n`);
    return await answer.promise;
  }

  close(): void {
    this.#socket.destroy();
  }
}
