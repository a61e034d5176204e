import process from "node:process";
import { inspect } from "node:util";
import { currentRuntime } from "../processes/runtimes.ts";
import { IdleWorkers } from "./idle_workers.ts";
import { waitedForProcessors } from "./pressure.ts";
import { Pulse } from "./pulse.ts";
import { CaseStage } from "./stage.ts";
import type { Case, Fixture, Place } from "./suite.ts";
import { elapse, within } from "./waiting.ts";

/** The longest that a case may run, in ms: one that hangs fails alone, and says which it is. */
const CASE_LIMIT = 90_000;

/** What runs at the same time: most cases mostly wait, but those with processes of their own are heavy. */
const CAPACITY = Number(process.env.COORD_CAPACITY ?? 8);
const PROCESS_WEIGHT = 3;

/** A pause of the event loop, in ms, after which a time-out says nothing about the backend: operations have 500 ms. */
const STANDSTILL = 300;

/** The share of a case's time in which processes waited for a processor, from which on the machine is too busy. */
const BUSY = 0.5;

/** A busy machine, or a server that has only just begun, is given so many ms before a case is played again. */
const BREATH = 3_000;

/** Runs cases side by side, in their order, on one backend, which is started before the first and ended after the last. */
export class Pool {
  readonly #fixture: Fixture;
  readonly #idle = new IdleWorkers();
  readonly #outcomes = new Map<Case, PromiseWithResolvers<void>>();
  #done: Promise<void> | undefined;
  /** Whether a play of a case has failed: then there may be promises that nobody waits for. */
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
    const outcome = this.#outcomes.get(each);
    try {
      await this.#tryTwice(each, place);
      outcome?.resolve();
    } catch (error) {
      outcome?.reject(error);
    }
    if (process.env.COORD_TIMES) {
      console.log(`${Math.round(performance.now() - start)} ms on ${currentRuntime}: ${each.name}`);
    }
  }

  /**
   * A case is played once more, in a namespace of its own, when it failed while the machine stood still; so is one in
   * which a call had no answer in its short time, while the machine was too busy for the servers to answer.
   */
  async #tryTwice(each: Case, place: Place): Promise<void> {
    const pulse = new Pulse();
    const [start, before] = [performance.now(), waitedForProcessors()];
    try {
      await this.#play(each, place);
    } catch (error) {
      this.hasFailures = true;
      const pause = pulse.longest();
      const busy = (waitedForProcessors() - before) / (performance.now() - start);
      const isMachine = pause >= STANDSTILL || (busy >= BUSY && isUnanswered(error));
      if (each.alone || !isMachine) throw error;
      const why = `the event loop stood still for ${Math.round(pause)} ms, processes for ${
        Math.round(busy * 100)
      } %`;
      console.log(`AGAIN ${each.name}: ${why}: ${error}`);
      await elapse(BREATH);
      await this.#play(each, place);
    } finally {
      pulse.stop();
    }
  }

  async #play(each: Case, place: Place): Promise<void> {
    await using stage = new CaseStage({ fixture: this.#fixture, place, idle: this.#idle }, each.needs);
    await within(each.run(stage), "the case has ended", CASE_LIMIT);
  }
}

/** Whether a call, here or in another process, had no answer within its deadline. */
function isUnanswered(error: unknown): boolean {
  const isConnection = error instanceof Error && "code" in error && error.code === "CONNECTION";
  return isConnection && /no answer .*within \d+ ms/.test(inspect(error));
}

function weigh({ needs = [] }: Case): number {
  return needs.includes("processes") || needs.includes("server") ? PROCESS_WEIGHT : 1;
}
