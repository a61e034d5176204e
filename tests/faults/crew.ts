import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { RemoteMember, type Turn, WORKER } from "../conformance/remote.ts";
import { within } from "../conformance/waiting.ts";
import { RUNTIMES } from "../processes/runtimes.ts";
import { spawnWorker, type Worker } from "../processes/spawn.ts";

/** How long a contender holds the lock, in ms. */
const HOLD = 5;
/** How long contenders go on after the last fault, in ms: they are to come back, and have their turns. */
const AFTERWARDS = 8_000;

/** Processes of all runtimes, each with a coordinator of its own. */
export class Crew implements AsyncDisposable {
  /** Whatever they do is in it. */
  readonly namespace = `faults-${crypto.randomUUID().slice(0, 8)}`;
  readonly #ttl: number;
  readonly members: RemoteMember[] = [];
  readonly #processes: Worker[] = [];

  /** @param ttl What they ask for, in ms. */
  constructor(ttl: number) {
    this.#ttl = ttl;
  }

  /** Starts one more; of the three runtimes, one after the other. */
  async hire(url: string): Promise<RemoteMember> {
    const number = this.members.length;
    const runtime = RUNTIMES[number % RUNTIMES.length] ?? "deno";
    const options = { namespace: this.namespace, ttl: this.#ttl, memberId: `member-${number}` };
    const process = await spawnWorker(runtime, WORKER);
    this.#processes.push(process);
    const member = await RemoteMember.open({ runtime, process }, url, options);
    this.members.push(member);
    return member;
  }

  /** Lets all contend for a lock while something happens, and a while longer; resolves with their turns. */
  async contend(name: string, during: () => Promise<void>): Promise<Turn[]> {
    const contests = Promise.all(this.members.map((member) => member.struggle(name, HOLD)));
    // Who fails now is heard of below.
    contests.catch(() => {});
    await during();
    await sleep(AFTERWARDS);
    await Promise.all(this.members.map((member) => member.relent()));
    return (await within(contests, "the contest ends", 120_000)).flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) process.kill();
    await Promise.all(this.#processes.map(({ exited }) => exited));
  }
}

/** Fails unless no two turns overlap, and tokens grow from each to the next. */
export function checkTurns(turns: readonly Turn[]): void {
  [...turns].sort((a, b) => a.from - b.from).reduce((before, next) => {
    assert.ok(next.token > before.token, `token ${next.token} came after ${before.token}`);
    assert.ok(
      next.from >= before.to,
      `${next.token} began ${before.to - next.from} ms before the end of another`,
    );
    return next;
  });
}

/**
 * For a product that may forget what it granted when a server fails: fails unless tokens grow from each turn to the
 * next. Says by how many ms turns overlapped: the first holder had not been told yet.
 */
export function overlaps(turns: readonly Turn[]): number[] {
  const sorted = [...turns].sort((a, b) => a.from - b.from);
  return sorted.slice(1).flatMap((next, i) => {
    const before = sorted[i] as Turn; // It has one more.
    assert.ok(next.token > before.token, `token ${next.token} came after ${before.token}`);
    return next.from < before.to ? [before.to - next.from] : [];
  });
}
