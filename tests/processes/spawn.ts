import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { commandFor, type Runtime } from "./runtimes.ts";
import { decode, encode, lines, type Message, type WireError } from "./wire.ts";

/** An error that a worker's method threw, with the worker's name and code. */
export class WorkerError extends Error {
  readonly code: string | undefined;

  constructor({ name, message, code }: WireError) {
    super(message);
    this.name = name;
    this.code = code;
  }
}

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The test's end of a child process that answers calls. */
export class Worker {
  readonly pid: number;
  /** Resolves when the process has ended, and how. */
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #calls = new Map<number, Pending>();
  readonly #events: unknown[] = [];
  readonly #ready = Promise.withResolvers<void>();
  #wake = Promise.withResolvers<void>();
  #nextId = 1;
  #ended = false;

  constructor(command: readonly string[], env: Readonly<Record<string, string>>) {
    const [file = "", ...args] = command;
    this.#child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...env } });
    this.pid = this.#child.pid ?? 0;
    this.exited = new Promise((resolve) => {
      this.#child.once("error", (error) => this.#end(`it did not start (${error.message})`));
      this.#child.once("close", (code, signal) => {
        this.#end(signal === null ? `it exited with ${code}` : `it was ended by ${signal}`);
        resolve({ code, signal });
      });
    });
    this.#child.stdin?.on("error", () => {}); // The worker is gone; "close" rejects its calls.
    this.#ready.promise.catch(() => {}); // Whoever started the worker looks at it.
    void this.#read();
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Runs a method of the worker; rejects with a {@linkcode WorkerError}, or when the worker ends first. */
  call(method: string, ...args: unknown[]): Promise<unknown> {
    if (this.#ended) return Promise.reject(new Error(`Cannot call "${method}": the worker has ended`));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#child.stdin?.write(encode({ kind: "call", id, method, args }));
    });
  }

  /** What the worker emits, from the first event on, each to one reader; ends with the worker. */
  get events(): AsyncIterable<unknown> {
    return this.#eventStream();
  }

  kill(signal: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT" = "SIGKILL"): void {
    if (this.#ended) return;
    try {
      // Not through the child: Deno takes any signal for its end, and closes its input, so that it may still say good-bye.
      process.kill(this.pid, signal);
    } catch (error) {
      // It has ended by itself, and we have not heard yet.
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
  }

  /** Lets the worker end by itself, and kills it when it does not within `grace` ms. */
  async close(grace = 5000): Promise<void> {
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.kill(), grace);
    await this.exited;
    clearTimeout(timer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *#eventStream(): AsyncGenerator<unknown> {
    for (;;) {
      while (this.#events.length > 0) yield this.#events.shift();
      if (this.#ended) return;
      await this.#wake.promise;
    }
  }

  async #read(): Promise<void> {
    if (!this.#child.stdout) return;
    try {
      for await (const line of lines(this.#child.stdout)) this.#receive(decode(line));
    } catch (error) {
      this.#end(`its output makes no sense (${error})`);
      this.kill();
    }
  }

  #receive(message: Message): void {
    if (message.kind === "ready") return this.#ready.resolve();
    if (message.kind === "event") {
      this.#events.push(message.value);
      return this.#wakeReaders();
    }
    if (message.kind === "call") return;
    const pending = this.#calls.get(message.id);
    this.#calls.delete(message.id);
    if (message.kind === "result") pending?.resolve(message.value);
    else pending?.reject(new WorkerError(message.error));
  }

  #end(why: string): void {
    if (this.#ended) return;
    this.#ended = true;
    const error = new Error(`The worker is gone: ${why}`);
    this.#ready.reject(error);
    for (const pending of this.#calls.values()) pending.reject(error);
    this.#calls.clear();
    this.#wakeReaders();
  }

  #wakeReaders(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

/** Starts a script that calls `serve()` on the runtime, and resolves when it takes calls. */
export async function spawnWorker(
  runtime: Runtime,
  script: URL,
  options: {
    args?: readonly string[];
    env?: Readonly<Record<string, string>>;
    /** A program that starts the worker, with its arguments. */
    below?: readonly string[];
  } = {},
): Promise<Worker> {
  const command = [...options.below ?? [], ...commandFor(runtime, script, options.args)];
  const worker = new Worker(command, options.env ?? {});
  await worker.ready;
  return worker;
}
