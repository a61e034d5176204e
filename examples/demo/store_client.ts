import { connect, type Socket } from "node:net";
import { eachLine } from "./lines.ts";
import type { Attempt, Result, StoreCall } from "./messages.ts";

/** A worker's connection to the store. */
export class StoreClient {
  readonly #socket: Socket;
  readonly #worker: string;
  readonly #calls = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #next = 1;

  constructor(port: number, worker: string) {
    this.#worker = worker;
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.setNoDelay(true);
    const gone = () => {
      for (const { reject } of this.#calls.values()) reject(new Error("Cannot reach the store: it is gone"));
    };
    this.#socket.on("close", gone);
    eachLine(this.#socket, (line) => this.#receive(line));
  }

  /** The files without a result. */
  async pending(): Promise<string[]> {
    return await this.#call({ call: "pending" }) as string[];
  }

  /** The sum of all results, once there are all. */
  async totals(): Promise<Result> {
    return await this.#call({ call: "totals" }) as Result;
  }

  /** Shows the token of a lock just taken; false: the work was done already. */
  async claim(file: string, token: bigint): Promise<boolean> {
    return await this.#call({ call: "claim", ...this.#attempt(file, token) }) === true;
  }

  /** Hands in a result; false: refused, because somebody has come with a greater token. */
  async write(file: string, token: bigint, result: Result): Promise<boolean> {
    return await this.#call({ call: "write", ...this.#attempt(file, token), result }) === true;
  }

  #attempt(file: string, token: bigint): Attempt {
    return { file, worker: this.#worker, token: String(token) };
  }

  #call(call: StoreCall): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#socket.write(`${JSON.stringify({ id, ...call })}\n`);
    });
  }

  #receive(line: string): void {
    const { id, value } = JSON.parse(line) as { id: number; value: unknown }; // Our own store wrote it.
    this.#calls.get(id)?.resolve(value);
    this.#calls.delete(id);
  }
}
