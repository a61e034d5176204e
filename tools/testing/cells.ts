import { readdirSync } from "node:fs";
import { type Runtime, RUNTIMES } from "../../tests/processes/runtimes.ts";

/** One run of a runtime's test runner: what a line of the table of results stands for. */
export interface Cell {
  readonly name: string;
  readonly runtime: Runtime;
  readonly files: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The server program without which the cell cannot run. */
  readonly needs?: string;
}

/** Folders of tests that are no unit tests: they run once per backend, in cells of their own. */
const PER_BACKEND = ["conformance", "faults"];

function testFiles(): string[] {
  return ["tests", "examples"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith("_test.ts") && !PER_BACKEND.includes(file.split("/")[0] ?? ""))
      .map((file) => `${folder}/${file}`)
  ).sort();
}

function unitCells(files: readonly string[]): Cell[] {
  return RUNTIMES.map((runtime) => ({ name: `unit on ${runtime}`, runtime, files, env: {} }));
}

/** The server programs that backends cannot do without. */
const SERVERS: Readonly<Record<string, string>> = { redis: "redis-server" };

/** The backends that the conformance suite knows: those with a fixture. */
export function conformanceBackends(): string[] {
  return readdirSync("tests/conformance/fixtures").map((file) => file.replace(/\.ts$/, "")).sort();
}

/** The conformance suite on one backend, once a runtime. */
export function conformanceCells(backend: string): Cell[] {
  const needs = SERVERS[backend];
  return RUNTIMES.map((runtime) => ({
    name: `${backend} on ${runtime}`,
    runtime,
    files: ["tests/conformance/conformance_test.ts"],
    env: { COORD_BACKEND: backend },
    ...(needs === undefined ? {} : { needs }),
  }));
}

/** Every cell there is. */
export function allCells(): Cell[] {
  return [...unitCells(testFiles()), ...conformanceBackends().flatMap(conformanceCells)];
}
