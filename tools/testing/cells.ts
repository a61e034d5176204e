import { readdirSync } from "node:fs";
import { type Backend, backendsOf, findBackend } from "../../tests/conformance/deployments.ts";
import { DATABASES } from "../../tests/faults/databases.ts";
import { FOLLOWED } from "../../tests/faults/followed.ts";
import { MORTALS } from "../../tests/faults/mortals.ts";
import { PRODUCTS } from "../../tests/faults/products.ts";
import { type Runtime, RUNTIMES } from "../../tests/processes/runtimes.ts";
import { hasServer } from "../../tests/servers/available.ts";
import type { Suite } from "../../tests/servers/binaries.ts";

/** One run of a runtime's test runner: what a line of the table of results stands for. */
export interface Cell {
  readonly name: string;
  readonly runtime: Runtime;
  readonly files: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** How long it may print nothing before it is killed, in ms. */
  readonly limit: number;
  /** Picks the tests whose names match; undefined: all. */
  readonly pattern?: string;
  /** Whether it mostly waits, and may run beside those that keep the machine busy. Default false. */
  readonly isLight?: boolean;
  /** The server program without which the cell cannot run. */
  readonly needs?: Program;
}

/** A server program, of one suite or any. */
export interface Program {
  readonly name: string;
  readonly suite?: Suite;
}

/** Whether all that a cell needs is here. */
export function isRunnable({ needs }: Cell): boolean {
  return needs === undefined || hasServer(needs.name, needs.suite);
}

/** Names the cells that could not run; says whether one should have: only "sid" may lack what it has on other days. */
export function printNotRun(cells: readonly Cell[]): boolean {
  for (const { name, needs } of cells) {
    console.log(`NOT RUN ${name}: there is no ${needs?.name}${needs?.suite ? ` in ${needs.suite}` : ""}`);
  }
  return cells.some(({ needs }) => needs?.suite !== "sid");
}

/** A case of the conformance suite ends after less than that by itself, in ms. */
const LIMIT = 150_000;

/** Some tests of faults are silent for minutes. */
const FAULTS_LIMIT = 300_000;

/** Folders of tests that are no unit tests: they run once per backend, in cells of their own. */
const PER_BACKEND = ["conformance", "faults"];

function testFiles(): string[] {
  return ["tests", "examples"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith("_test.ts") && !PER_BACKEND.includes(file.split("/")[0] ?? ""))
      .map((file) => `${folder}/${file}`)
  ).sort();
}

function drivers(): string[] {
  return readdirSync("drivers").filter((file) => file.endsWith(".ts")).map((file) => file.slice(0, -3))
    .sort();
}

/** In place of a driver: what is tried on one after the other. */
const EVERY = "every";

/** The driver that a file tests what only that has; undefined: it tests no driver. */
function driverOf(file: string): string | undefined {
  if (!file.startsWith("tests/drivers/")) return undefined;
  return drivers().find((driver) => file.startsWith(`tests/drivers/${driver}_`)) ?? EVERY;
}

/** Takes a minute, for clusters. */
const SLOW_UNITS = ["tests/servers/cluster_test.ts"];

/** What is close to the runtime: files, processes, sockets, timers, calls of the C library. */
const NATIVE_UNITS = [
  "tests/core/lease_clock_test.ts",
  "tests/core/resolve_test.ts",
  "tests/drivers/file_test.ts",
  "tests/drivers/ipc_test.ts",
  "tests/processes/processes_test.ts",
];

function unitCell(runtime: Runtime): Cell {
  const files = testFiles().filter((file) => driverOf(file) === undefined && !SLOW_UNITS.includes(file));
  return { name: `unit on ${runtime}`, runtime, files, env: {}, limit: LIMIT };
}

function unitCells(): Cell[] {
  const slow = RUNTIMES.map((runtime) => ({
    ...unitCell(runtime),
    name: `clusters on ${runtime}`,
    files: SLOW_UNITS,
  }));
  return [...RUNTIMES.map(unitCell), ...slow];
}

/** What only one driver has, or what is tried on every one, once a runtime. */
function driverCells(driver: string): Cell[] {
  const files = testFiles().filter((file) => driverOf(file) === driver);
  if (files.length === 0) return [];
  return RUNTIMES.map((runtime) => ({
    name: `${driver} driver on ${runtime}`,
    runtime,
    files,
    env: {},
    limit: FAULTS_LIMIT,
    isLight: true,
    ...programOf(driver),
  }));
}

/** What a backend runs on: `etcd_cluster` and `etcd_3_5` are etcd, the one as a cluster, the other from sid. */
function programOf(name: string): { needs: Program } | undefined {
  const { program, suite } = findBackend(name)?.version ?? {};
  if (program === undefined) return undefined;
  return { needs: { name: program, ...suite === undefined ? {} : { suite } } };
}

/** The backends that the conformance suite knows: every deployment and version of each driver that has a fixture. */
export function conformanceBackends(): Backend[] {
  return readdirSync("tests/conformance/fixtures").sort()
    .flatMap((file) => backendsOf(file.replace(/\.ts$/, "")));
}

/** The suite on a backend, or the smoke alone. */
function conformanceCell(backend: string, runtime: Runtime, isSmoke = false): Cell {
  return {
    name: `${backend} on ${runtime}${isSmoke ? ": smoke" : ""}`,
    runtime,
    files: ["tests/conformance/conformance_test.ts"],
    env: { COORD_BACKEND: backend, ...isSmoke ? { COORD_SMOKE: "1" } : {} },
    limit: LIMIT,
    ...programOf(backend),
  };
}

/** The conformance suite on one backend, once a runtime; what is one version of many in one deployment has the smoke. */
export function conformanceCells({ name, isWhole }: Backend): Cell[] {
  return RUNTIMES.map((runtime) => conformanceCell(name, runtime, !isWhole));
}

/** Backends whose smoke shows that a runtime has what drivers need: files, the C library, sockets. */
const SMOKE_BACKENDS = ["postgresql", "redis", "ipc", "file"];

/** A few cases and the tests nearest to the runtime: a minute of what the whole matrix runs in full. */
function smokeCells(runtime: Runtime): Cell[] {
  const suite = SMOKE_BACKENDS.map((backend) => conformanceCell(backend, runtime, true));
  return [...suite, { ...unitCell(runtime), name: `unit on ${runtime}: smoke`, files: NATIVE_UNITS }];
}

/** Backends whose cell is not sure enough for the gate yet, and why. */
export const NOT_IN_THE_GATE: Readonly<Record<string, string>> = {};

/** What every commit must pass; the longest come first, so that the last ones end together. */
function gateCells(): Cell[] {
  const sure = drivers().filter((driver) => !(driver in NOT_IN_THE_GATE)).reverse();
  return [
    ...sure.map((driver) => conformanceCell(driver, "deno")),
    unitCell("deno"),
    ...RUNTIMES.filter((runtime) => runtime !== "deno").flatMap(smokeCells),
  ];
}

/** What clusters, databases, and servers that others follow survive; each cell has members of all runtimes. */
function faultCells(): Cell[] {
  const clusters = ["tests/faults/cluster_test.ts", "tests/faults/waiting_test.ts"];
  const files = [
    ...Object.keys(PRODUCTS).map((backend) => ({ backend, files: clusters })),
    ...Object.keys(MORTALS).map((backend) => ({
      backend,
      files: [
        "tests/faults/kills_test.ts",
        ...backend in DATABASES ? ["tests/faults/databases_test.ts"] : [],
      ],
    })),
    { backend: "memcached", files: ["tests/faults/crowd_test.ts"] },
    ...Object.keys(FOLLOWED).map((backend) => ({ backend, files: ["tests/faults/failover_test.ts"] })),
  ];
  return files.map(({ backend, files }) => ({
    name: `${backend} faults on deno`,
    runtime: "deno",
    files,
    env: { COORD_BACKEND: backend },
    limit: FAULTS_LIMIT,
    isLight: true,
    ...programOf(backend),
  }));
}

/** What every commit must pass, or with `all` every cell there is. */
export function testCells({ all }: { readonly all: boolean }): Cell[] {
  if (!all) return gateCells();
  const suite = conformanceBackends().flatMap(conformanceCells);
  const own = [...drivers(), EVERY].flatMap(driverCells);
  return [...unitCells(), ...own, ...suite, ...faultCells()];
}
