import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { commandFor, type Runtime, runtimeProgram, RUNTIMES } from "../../tests/processes/runtimes.ts";
import { diesWithUs } from "../../tests/servers/process_tree.ts";
import type { Tally } from "./book.ts";
import { JudgeClient } from "./judge_client.ts";
import type { WorkerLine, WorkerSettings } from "./worker.ts";

/** How each runtime runs a worker whose heap is sampled. */
const FLAGS: Record<Runtime, readonly string[]> = {
  deno: ["run", "-A", "--no-check", "--quiet", "--v8-flags=--expose-gc"],
  bun: ["run"],
  node: ["--expose-gc"],
};

const SCRIPT = fileURLToPath(new URL("./worker.ts", import.meta.url));

/** One kill in so many is aimed at a holder: by chance alone, few are hit. */
const HOLDER_EVERY = 3;

interface Member {
  readonly id: string;
  readonly runtime: Runtime;
  readonly child: ChildProcess;
  readonly exited: Promise<unknown>;
  /** Heap after collection, sampled over the whole soak: only of those that are never killed. */
  readonly heap: number[];
  isReady: boolean;
  isDoomed: boolean;
}

/** What the workers are told, but for who they are. */
export type FleetSettings = Omit<WorkerSettings, "id" | "judge" | "sample">;

/** The judge's process. */
export interface Judge extends AsyncDisposable {
  readonly port: number;
  readonly client: JudgeClient;
}

export async function startJudge(log: string): Promise<Judge> {
  const [file = "", ...args] = [
    ...diesWithUs(),
    ...commandFor("deno", new URL("./judge.ts", import.meta.url), [log]),
  ];
  const child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const port = Number(line);
  const client = await JudgeClient.open(port);
  return {
    port,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      child.stdin.end();
      await exited;
    },
  };
}

/** The workers of a soak: some live through it, the others are killed one after another, and replaced. */
export class Fleet {
  readonly survivors: Member[] = [];
  readonly problems: string[] = [];
  /** What faults have done to workers, by the name of the error. */
  readonly troubles: Map<string, number> = new Map();
  kills = 0;
  readonly #settings: FleetSettings;
  readonly #judge: Judge;
  readonly #sample: number;
  readonly #victims: Member[] = [];
  #started = 0;
  #isStopping = false;

  /** @param sample ms between two samples of a survivor's heap */
  constructor(settings: FleetSettings, judge: Judge, sample: number) {
    this.#settings = settings;
    this.#judge = judge;
    this.#sample = sample;
  }

  /** Starts a survivor of each runtime, and victims up to `count` in all. */
  start(count: number): void {
    for (const runtime of RUNTIMES) this.survivors.push(this.#spawn(runtime, this.#sample));
    for (let i = RUNTIMES.length; i < count; i++) this.#replace(RUNTIMES[i % RUNTIMES.length] ?? "deno");
  }

  /** kill -9 of one, at random, and a new one in its place; every now and then it is one that holds a lock. */
  async kill(): Promise<void> {
    const ready = this.#victims.filter(({ isReady }) => isReady);
    const holders = await this.#holders();
    const holding = this.kills % HOLDER_EVERY === 0 ? ready.filter(({ id }) => holders.includes(id)) : [];
    const candidates = holding.length > 0 ? holding : ready;
    const victim = candidates[Math.floor(Math.random() * candidates.length)];
    if (!victim) return;
    victim.isDoomed = true;
    this.#victims.splice(this.#victims.indexOf(victim), 1);
    await this.#judge.client.say(`doom ${victim.id}`);
    victim.child.kill("SIGKILL");
    await victim.exited;
    this.kills++;
    this.#replace(victim.runtime);
  }

  async #holders(): Promise<string[]> {
    return JSON.parse(await this.#judge.client.say("holders")) as string[]; // The judge wrote it.
  }

  async tally(): Promise<Tally> {
    return JSON.parse(await this.#judge.client.say("tally")) as Tally; // The judge wrote it.
  }

  /** Lets all of them end; one that does not within `grace` ms is a problem. */
  async stop(grace: number): Promise<void> {
    this.#isStopping = true;
    const members = [...this.survivors, ...this.#victims];
    for (const { child } of members) child.stdin?.end();
    const late = AbortSignal.timeout(grace);
    await Promise.race([
      Promise.all(members.map(({ exited }) => exited)),
      sleep(grace + 100, undefined, { ref: false }),
    ]);
    if (!late.aborted) return;
    for (const { id, child } of members) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      this.problems.push(`${id} did not end within ${grace} ms`);
      child.kill("SIGKILL");
    }
  }

  #replace(runtime: Runtime): void {
    this.#victims.push(this.#spawn(runtime));
  }

  #spawn(runtime: Runtime, sample?: number): Member {
    const id = `${sample === undefined ? "worker" : "survivor"}-${++this.#started}-${runtime}`;
    const [file = "", ...args] = [...diesWithUs(), runtimeProgram(runtime), ...FLAGS[runtime], SCRIPT];
    const child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
    const exited = once(child, "exit");
    const member: Member = { id, runtime, child, exited, heap: [], isReady: false, isDoomed: false };
    const settings: WorkerSettings = {
      ...this.#settings,
      id,
      judge: this.#judge.port,
      ...(sample === undefined ? {} : { sample }),
    };
    child.stdin?.on("error", () => {}); // It is gone; "exit" tells.
    child.stdin?.write(`${JSON.stringify(settings)}\n`);
    if (child.stdout) {
      createInterface({ input: child.stdout }).on("line", (line) => this.#hear(member, line));
    }
    void exited.then(([code, signal]) => this.#end(member, code ?? signal));
    return member;
  }

  #hear(member: Member, line: string): void {
    const message = JSON.parse(line) as WorkerLine; // The worker wrote it.
    if (message.type === "ready") member.isReady = true;
    else if (message.type === "heap") member.heap.push(message.bytes);
    else this.troubles.set(message.why, (this.troubles.get(message.why) ?? 0) + 1);
  }

  #end(member: Member, how: unknown): void {
    if (member.isDoomed || (this.#isStopping && how === 0)) return;
    this.problems.push(`${member.id} ended by itself with ${how}`);
    void this.#judge.client.say(`doom ${member.id}`);
    const index = this.#victims.indexOf(member);
    if (index >= 0 && !this.#isStopping) this.#victims.splice(index, 1, this.#spawn(member.runtime));
  }
}
