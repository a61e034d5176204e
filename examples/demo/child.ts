import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { eachLine } from "./lines.ts";

/** Where the packages of this project put the programs of the other runtimes. */
const INSTALLED = fileURLToPath(new URL("../../node_modules/.bin/", import.meta.url));

/** A way to run a TypeScript file. */
export interface Runtime {
  readonly name: string;
  readonly command: readonly string[];
}

/** The runtime that this runs on. */
export function currentRuntime(): Runtime {
  const { execPath: program, versions } = process;
  if (versions["deno"]) return { name: "deno", command: [program, "run", "-A", "--quiet"] };
  return { name: versions["bun"] ? "bun" : "node", command: [program] };
}

/** The runtime that this runs on, and those of the others that are installed: locks hold among all of them. */
export function runtimes(): Runtime[] {
  const current = currentRuntime();
  const others: Runtime[] = [
    { name: "deno", command: [`${INSTALLED}deno`, "run", "-A", "--quiet"] },
    { name: "bun", command: [`${INSTALLED}bun`] },
    { name: "node", command: [`${INSTALLED}node`] },
  ];
  return [
    current,
    ...others.filter(({ name, command: [file = ""] }) => name !== current.name && existsSync(file)),
  ];
}

let deathSignal: readonly string[] | undefined;

/**
 * What to put before a command so that the kernel ends it when we are killed: a stopped process would not notice the
 * end of its input. Empty where there is no setpriv.
 */
function diesWithUs(): readonly string[] {
  const [program = "", ...words] = ["setpriv", "--pdeathsig", "KILL", "--"];
  deathSignal ??= spawnSync(program, [...words, "true"]).status === 0 ? [program, ...words] : [];
  return deathSignal;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A process of the demo: takes its settings and orders, and tells what happens, as lines. */
export class Child<Event> {
  /** Resolves with how it ended: an exit code, or the name of a signal. */
  readonly ended: Promise<number | string>;
  readonly #child: ChildProcess;

  constructor(runtime: Runtime, script: string, settings: unknown, hear: (event: Event) => void) {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const [file = "", ...args] = [...diesWithUs(), ...runtime.command, path];
    const child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#child = child;
    running.add(child);
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (code, signal) => resolve(code ?? signal ?? "unknown"));
    });
    void this.ended.then(() => running.delete(child));
    child.stdin?.on("error", () => {}); // It is gone, as `ended` tells.
    // Our own script wrote it.
    if (child.stdout) eachLine(child.stdout, (line) => hear(JSON.parse(line) as Event));
    this.order(JSON.stringify(settings));
  }

  /** Sends a line. */
  order(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Not through the child's own `kill()`: on Deno that takes any signal for its end. */
  signal(name: "SIGKILL" | "SIGCONT"): void {
    if (this.#child.pid !== undefined) process.kill(this.#child.pid, name);
  }

  /** Closes its input, which ends it. */
  end(): void {
    this.#child.stdin?.end();
  }
}
