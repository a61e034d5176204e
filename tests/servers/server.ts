import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { diesWithUs, isRunning, isStopped, processTree, signalAll } from "./process_tree.ts";

/** What makes one server product different from another. */
export interface ServerSpec {
  readonly name: string;
  readonly port: number;
  /** Where it keeps its data and log; made by {@linkcode serverDir}, removed with the server. */
  readonly dir: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Makes its data as they must be, before each start. */
  readonly prepare?: () => Promise<unknown>;
  /** Resolves when the server answers as it should; tried again until then. */
  readonly probe: () => Promise<unknown>;
  /** What a client connects to when the server is reached on this port. */
  readonly url: (port: number) => string;
}

/** What answers on one address, a process or several that act as one, with the faults that processes can have. */
export interface Server extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  /** The URL of the same server reached through another port: that of a proxy. */
  urlAt(port: number): string;
  readonly isAlive: boolean;
  /** What the server has written so far. */
  log(): string;
  /** Starts it, on the same port and data each time, and resolves when it is ready. */
  start(): Promise<this>;
  /** kill -9 of the server and all its children, and waits until they are gone. */
  kill(): Promise<void>;
  /** A crash and a new start: {@linkcode kill}, then {@linkcode start}. */
  restart(): Promise<void>;
  /** Stops it dead while its connections stay open, as a machine does that swaps or is suspended. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

const READY_DEADLINE = 30_000;
const PROBE_PAUSE = 10;
const STOP_DEADLINE = 1_000;

const running = new Set<ChildProcess>();

/** The last resort where the kernel does not end the servers with us. */
function killOnExit(): void {
  for (const child of running) if (child.pid !== undefined) signalAll([child.pid], "SIGKILL");
}

export function serverDir(name: string): string {
  return mkdtempSync(join(tmpdir(), `coord-${name}-`));
}

/** A private server as a child process. */
export class ServerProcess implements Server {
  readonly name: string;
  readonly port: number;
  readonly dir: string;
  readonly #spec: ServerSpec;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  constructor(spec: ServerSpec) {
    this.#spec = spec;
    this.name = spec.name;
    this.port = spec.port;
    this.dir = spec.dir;
  }

  get url(): string {
    return this.urlAt(this.port);
  }

  urlAt(port: number): string {
    return this.#spec.url(port);
  }

  get isAlive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number | undefined {
    return this.isAlive ? this.#child?.pid : undefined;
  }

  log(): string {
    return readFileSync(join(this.dir, "log"), "utf8");
  }

  /** Asks once whether it is ready; rejects when it is not. */
  async probe(): Promise<void> {
    await this.#spec.probe();
  }

  async start(): Promise<this> {
    if (this.isAlive) throw new Error(`Cannot start ${this.name}: it is running`);
    await this.#spec.prepare?.();
    this.#spawn();
    await this.#ready();
    return this;
  }

  async kill(): Promise<void> {
    if (!this.isAlive || this.#child?.pid === undefined) return;
    const tree = processTree(this.#child.pid);
    signalAll(tree, "SIGKILL");
    await this.#exited;
    while (tree.some(isRunning)) await sleep(5);
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  pause(): void {
    if (this.pid === undefined) return;
    const tree = processTree(this.pid);
    signalAll(tree, "SIGSTOP");
    // On a busy machine it would still answer for a moment.
    const until = performance.now() + STOP_DEADLINE;
    while (!tree.every(isStopped) && performance.now() < until);
  }

  resume(): void {
    if (this.pid !== undefined) signalAll(processTree(this.pid), "SIGCONT");
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #spawn(): void {
    const [file = "", ...args] = [...diesWithUs(), ...this.#spec.command];
    const log = openSync(join(this.dir, "log"), "a");
    const env = { ...process.env, ...this.#spec.env };
    const child = spawn(file, args, { stdio: ["ignore", log, log], cwd: this.dir, env });
    closeSync(log);
    if (running.size === 0) process.on("exit", killOnExit);
    running.add(child);
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      const gone = () => {
        running.delete(child);
        if (running.size === 0) process.off("exit", killOnExit);
        resolve();
      };
      child.once("exit", gone);
      child.once("error", gone);
    });
  }

  async #ready(): Promise<void> {
    const deadline = performance.now() + READY_DEADLINE;
    let last: unknown = "it exited";
    while (this.isAlive && performance.now() < deadline) {
      try {
        return await this.probe();
      } catch (error) {
        last = error;
        await sleep(PROBE_PAUSE);
      }
    }
    const log = this.log().slice(-2000);
    await this.kill();
    throw new Error(`Cannot start ${this.name} on port ${this.port}: ${last}\n${log}`);
  }
}

/** Starts a new server; one that does not start leaves nothing behind. */
export async function startServer(spec: ServerSpec): Promise<ServerProcess> {
  const server = new ServerProcess(spec);
  try {
    return await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
}
