import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { diesWithUs } from "../../tests/servers/process_tree.ts";
import { readJunit } from "./junit.ts";

/** What stays where it is: large, and the same for all. */
const LINKED = ["node_modules", ".servers"];
const LEFT_OUT = [".git", ".tmp", "coverage"];

/** A copy of the working tree that may be broken. */
export class Sandbox implements Disposable {
  readonly dir: string;

  constructor(root: string) {
    this.dir = mkdtempSync(join(tmpdir(), "coord-mutant-"));
    for (const entry of readdirSync(root)) {
      if (LINKED.includes(entry)) symlinkSync(join(root, entry), join(this.dir, entry));
      else if (!LEFT_OUT.includes(entry)) {
        cpSync(join(root, entry), join(this.dir, entry), { recursive: true });
      }
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Tests to run with Deno. */
export interface Run {
  readonly files: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** A pattern of names, for tests that have no other way to be picked. */
  readonly filter: string | undefined;
}

/** How a run went. */
export interface Outcome {
  readonly failed: readonly string[];
  /** How many tests ran. */
  readonly ran: number;
  /** It was killed after the limit. */
  readonly late: boolean;
}

/** Runs tests in a folder; they and all that they started are killed after `limit` ms. */
export async function play(dir: string, { files, env, filter }: Run, limit: number): Promise<Outcome> {
  const report = join(dir, "report.xml");
  rmSync(report, { force: true });
  const flags = ["test", "-A", "--no-check", "--quiet", `--junit-path=${report}`];
  if (filter !== undefined) flags.push(`--filter=/${filter}/`);
  const late = await run([process.execPath, ...flags, ...files], dir, env, limit);
  const tests = existsSync(report) ? readJunit(readFileSync(report, "utf8")) : [];
  const failed = tests.filter(({ status }) => status === "failed").map(({ name }) => name);
  return { failed, ran: tests.filter(({ status }) => status !== "skipped").length, late };
}

/** Whether the command had to be killed. */
function run(
  command: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
  limit: number,
): Promise<boolean> {
  const [file = "", ...args] = [...diesWithUs(), ...command];
  const child = spawn(file, args, {
    cwd,
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdio: "ignore",
    detached: true,
  });
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // All of it has ended.
    }
  };
  return new Promise((done) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      kill();
    }, limit);
    const end = () => {
      clearTimeout(timer);
      kill();
      done(late);
    };
    child.once("exit", end);
    child.once("error", end);
  });
}
