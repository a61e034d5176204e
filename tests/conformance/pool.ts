import { loadavg } from "node:os";
import process from "node:process";
import { LateError } from "../late.ts";
import { currentRuntime } from "../processes/runtimes.ts";
import { IdleWorkers } from "./idle_workers.ts";
import { begun, ended } from "./progress.ts";
import { Pulse } from "./pulse.ts";
import { CaseStage } from "./stage.ts";
import type { Case, Fixture, Place } from "./suite.ts";
import { within } from "./waiting.ts";

/** The longest that a case may run, in ms: one that hangs fails alone, and says which it is. */
const CASE_LIMIT = 90_000;

/** What runs at the same time: most cases mostly wait, but those with processes of their own are heavy. */
const CAPACITY = Number(process.env.COORD_CAPACITY ?? 8);
const PROCESS_WEIGHT = 3;

/** Of errors that say no more than that something took too long. */
const LATE_CODES: ReadonlySet<unknown> = new Set(["LATE", "CONNECTION"]);

/** Runs cases side by side, in their order, on one backend, which is started before the first and ended after the last. */
export class Pool {
  readonly #fixture: Fixture;
  readonly #idle = new IdleWorkers();
  readonly #outcomes = new Map<Case, PromiseWithResolvers<void>>();
  #done: Promise<void> | undefined;
  /** Whether a case has failed: then there may be promises that nobody waits for. */
  hasFailures = false;

  constructor(fixture: Fixture, cases: readonly Case[]) {
    this.#fixture = fixture;
    for (const each of cases) this.#outcomes.set(each, Promise.withResolvers());
    // Those who wait for them come one after the other.
    for (const { promise } of this.#outcomes.values()) promise.catch(() => {});
  }

  /** Settles as the case does; the first call starts them all. */
  async outcome(of: Case): Promise<void> {
    this.#done ??= this.#runAll();
    await this.#outcomes.get(of)?.promise;
  }

  /** Resolves when everything has ended. */
  async end(): Promise<void> {
    await this.#done;
  }

  async #runAll(): Promise<void> {
    let place: Place;
    try {
      place = await this.#fixture.start();
    } catch (error) {
      for (const { reject } of this.#outcomes.values()) reject(error);
      return;
    }
    const cases = [...this.#outcomes.keys()];
    await this.#runTogether(cases.filter((each) => !each.alone), place);
    for (const each of cases.filter(({ alone }) => alone)) await this.#run(each, place);
    await this.#idle[Symbol.asyncDispose]();
    await place.stop();
  }

  async #runTogether(cases: readonly Case[], place: Place): Promise<void> {
    const running = new Set<Promise<void>>();
    let load = 0;
    for (const each of cases) {
      const weight = Math.min(weigh(each), CAPACITY);
      while (load + weight > CAPACITY) await Promise.race(running);
      load += weight;
      const run = this.#run(each, place).then(() => {
        load -= weight;
        running.delete(run);
      });
      running.add(run);
    }
    await Promise.all(running);
  }

  async #run(each: Case, place: Place): Promise<void> {
    const start = performance.now();
    const pulse = new Pulse();
    console.log(begun(each.name));
    try {
      await this.#play(each, place);
      this.#outcomes.get(each)?.resolve();
    } catch (error) {
      this.hasFailures = true;
      this.#outcomes.get(each)?.reject(isLate(error) ? late(error, pulse.longest()) : error);
    }
    pulse.stop();
    console.log(ended(each.name));
    if (process.env.COORD_TIMES) {
      console.log(`${Math.round(performance.now() - start)} ms on ${currentRuntime}: ${each.name}`);
    }
  }

  async #play(each: Case, place: Place): Promise<void> {
    await using stage = new CaseStage({ fixture: this.#fixture, place, idle: this.#idle }, each.needs);
    await within(each.run(stage), "the case has ended", CASE_LIMIT);
  }
}

/**
 * Whether something only took too long: what a case waited for, or a call, here or in another process. What else goes
 * wrong, an unexpected class of error included, is told by an assertion, and final.
 */
function isLate(error: unknown): error is Error {
  return error instanceof Error && "code" in error && LATE_CODES.has(error.code);
}

function late(error: Error, pause: number): LateError {
  const machine = `load ${loadavg()[0]?.toFixed(1)}, longest pause ${Math.round(pause)} ms`;
  return new LateError(`${error.message} (${machine})`, { cause: error });
}

function weigh({ needs = [] }: Case): number {
  return needs.includes("processes") || needs.includes("server") ? PROCESS_WEIGHT : 1;
}
