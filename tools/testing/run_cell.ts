import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { unfinished } from "../../tests/conformance/progress.ts";
import { runtimeProgram } from "../../tests/processes/runtimes.ts";
import { diesWithUs } from "../../tests/servers/process_tree.ts";
import type { Cell } from "./cells.ts";
import { readJunit, type TestResult } from "./junit.ts";

export interface CellResult {
  readonly cell: Cell;
  readonly tests: readonly TestResult[];
  readonly seconds: number;
  /** What the runner printed: the place to look when it failed without a failed test. */
  readonly output: string;
  /** The tests that were late, and passed when they were played once more. */
  readonly again: readonly TestResult[];
}

/** How long one test may take, where a runner can be told; Bun's own limit would be 5 s. */
const TEST_LIMIT = 120_000;

/** All three print for people on standard output and write the report into a file. */
function flags({ runtime, pattern }: Cell, report: string): string[] {
  if (runtime === "deno") {
    const picked = pattern === undefined ? [] : [`--filter=/${pattern}/`];
    return ["test", "-A", "--no-check", `--junit-path=${report}`, ...picked];
  }
  const picked = pattern === undefined ? [] : [`--test-name-pattern=${pattern}`];
  if (runtime === "bun") {
    return ["test", `--timeout=${TEST_LIMIT}`, "--reporter=junit", `--reporter-outfile=${report}`, ...picked];
  }
  return [
    // One file at a time, as on the others: tests measure time, and cells already run side by side.
    ...["--test", "--test-concurrency=1", `--test-timeout=${TEST_LIMIT}`, ...picked],
    ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
    ...["--test-reporter=junit", `--test-reporter-destination=${report}`],
  ];
}

function runnerCommand(cell: Cell, report: string): string[] {
  const paths = cell.files.map((file) => `./${file}`);
  return [...diesWithUs(), runtimeProgram(cell.runtime), ...flags(cell, report), ...paths];
}

/** In place of a test: the runner was killed. */
export const HUNG = "the runner ended";

/** How much of the output of a run that hung is worth reading, in lines. */
const LAST_LINES = 8;

interface Run {
  readonly status: number | null;
  readonly output: string;
  readonly isLate: boolean;
}

const groups = new Set<number>();

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}

/** For a run that is itself interrupted: each runner leads a group of its own, which no terminal's ^C reaches. */
export function killRunners(): void {
  for (const pid of groups) killGroup(pid);
}

function run(command: readonly string[], env: Readonly<Record<string, string>>, limit: number): Promise<Run> {
  const [file = "", ...args] = command;
  // Else a runner of Node's that is started by a test of Node's runs nothing.
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const child = spawn(file, args, {
    // Node would compile the same modules again in each of many processes.
    env: { ...inherited, NO_COLOR: "1", NODE_COMPILE_CACHE: resolve(".tmp/node"), ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  if (child.pid !== undefined) groups.add(child.pid);
  const chunks: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (s) => chunks.push(s));
  }
  return new Promise((done) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      if (child.pid !== undefined) killGroup(child.pid);
    }, limit);
    for (const stream of [child.stdout, child.stderr]) stream.on("data", () => timer.refresh());
    const end = (status: number | null) => {
      clearTimeout(timer);
      if (child.pid !== undefined) {
        killGroup(child.pid);
        groups.delete(child.pid);
      }
      done({ status, output: chunks.join(""), isLate });
    };
    child.once("error", (error) => {
      chunks.push(String(error));
      end(null);
    });
    // Not "close", which a stray grandchild that holds the pipe could put off for ever; the rest is there by then.
    child.once("exit", (status) => setTimeout(end, 50, status));
  });
}

function failure(name: string, detail: string): TestResult {
  return { name, file: undefined, status: "failed", detail };
}

/** The last lines that are worth reading of a run that hung. */
function lastWords(output: string): string {
  return output.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
}

/** Where a run hung: the cases that had not ended, or, as runners print the name of a test first, the last lines. */
function hang(output: string, limit: number): TestResult {
  const running = unfinished(output);
  const where = running.length > 0
    ? `these cases had not ended, the last to begin first: ${running.join("; ")}`
    : "a test hangs, or a file leaves something open that keeps its process alive";
  const what = `It was killed after ${limit / 1000} s without a word: ${where}`;
  return failure(HUNG, `${what}\nThe last lines were:\n${lastWords(output)}`);
}

/** What went wrong outside the tests that were reported. */
function runnerFailures(cell: Cell, { status, output, isLate }: Run, tests: readonly TestResult[]) {
  const failures: TestResult[] = [];
  const reported = new Set(tests.map(({ file }) => file && resolve(file)));
  if (isLate) {
    failures.push(hang(output, cell.limit));
  } else if (status !== 0 && tests.every((test) => test.status !== "failed")) {
    failures.push(failure("the runner succeeded", `It exited with ${status}, without a failed test`));
  } else if (status === 0) {
    const silent = cell.files.filter((file) => !reported.has(resolve(file)));
    for (const file of silent) failures.push(failure(file, "The file ran no test"));
  }
  return failures;
}

/** Runs the tests of a cell; a runner that prints nothing for `cell.limit` is killed, with all that it started. */
export async function runCell(cell: Cell): Promise<CellResult> {
  mkdirSync(".tmp/reports", { recursive: true });
  const report = resolve(`.tmp/reports/${cell.name.replaceAll(/\W+/g, "-")}-${process.pid}.xml`);
  const start = performance.now();
  const outcome = await run(runnerCommand(cell, report), cell.env, cell.limit);
  const tests = existsSync(report) ? readJunit(readFileSync(report, "utf8")) : [];
  rmSync(report, { force: true });
  return {
    cell,
    tests: [...tests, ...runnerFailures(cell, outcome, tests)],
    seconds: (performance.now() - start) / 1000,
    output: outcome.output,
    again: [],
  };
}
