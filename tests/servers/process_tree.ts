import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";

type Signal = "SIGKILL" | "SIGSTOP" | "SIGCONT" | "SIGTERM";

interface Stat {
  readonly state: string;
  readonly parent: number;
}

/** The state letter and the parent from /proc; undefined when the process is gone, or the system has no /proc. */
function stat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The program's name comes first, in brackets, and may itself hold brackets and spaces.
    const [state = "", parent = ""] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state, parent: Number(parent) };
  } catch {
    return undefined; // It ended while we looked.
  }
}

function allPids(): number[] {
  try {
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  } catch {
    return []; // Not Linux: then a server's children are left to the server.
  }
}

/** The process and all that it started: some servers put their children in sessions of their own. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const pid of allPids()) {
    const parent = stat(pid)?.parent;
    if (parent !== undefined) children.set(parent, [...children.get(parent) ?? [], pid]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...children.get(pid) ?? []);
  return tree;
}

export function signalAll(pids: readonly number[], signal: Signal): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // Gone already, which is as good.
    }
  }
}

/** Whether the process still runs; one that waits for its parent to collect it does not. */
export function isRunning(pid: number): boolean {
  const state = stat(pid)?.state;
  return state !== undefined && state !== "Z" && state !== "X";
}

/** Whether the process is stopped, or gone; true where that cannot be told. */
export function isStopped(pid: number): boolean {
  const state = stat(pid)?.state;
  return state === undefined || state === "T" || state === "Z" || state === "X";
}

let deathSignal: string[] | undefined;

/**
 * The words before a command that make the kernel kill it when we die, however we die, so that a killed test run
 * leaves no server behind; none where setpriv is not to be had.
 */
export function diesWithUs(): readonly string[] {
  const words = ["setpriv", "--pdeathsig", "KILL", "--"];
  deathSignal ??= spawnSync(words[0] ?? "", [...words.slice(1), "true"]).status === 0 ? words : [];
  return deathSignal;
}
