/**
 * Hand-over between two processes, by one clock: this process holds the lock "a" and waits for "b", its partner holds
 * "b" and waits for "a". We give "a" back, the partner is granted it and gives "b" back, we are granted that: two
 * hand-overs, and the two have changed places. Half of that time is one hand-over.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { getCoordinator, type Lease } from "../mod.ts";
import { currentRuntime } from "../tests/processes/runtimes.ts";
import { spawnWorker, type Worker } from "../tests/processes/spawn.ts";
import type { Bell, BenchedBackend } from "./backends.ts";
import { type Amount, measure, type Subject, type Summary } from "./stats.ts";

/** Both ends are in line again by then. In ms; outside of what is timed. */
const PAUSE = 3;

export interface Handoffs {
  readonly ours: Summary;
  readonly floor: Summary | undefined;
}

function startPartner(): Promise<Worker> {
  return spawnWorker(currentRuntime, new URL("./partner.ts", import.meta.url));
}

/** Hand-overs by this library. */
async function openLocks(url: string, partner: Worker): Promise<Subject & AsyncDisposable> {
  const coord = await getCoordinator(url, { memberId: "left" });
  const locks = { a: coord.lock("a"), b: coord.lock("b") };
  let held: Lease = await locks.a.acquire();
  await partner.call("playLocks", url);
  let waiting = locks.b.acquire();
  return {
    async once() {
      await sleep(PAUSE);
      const given = held;
      const start = performance.now();
      const released = given.release();
      held = await waiting;
      const took = performance.now() - start;
      waiting = (given.name === "a" ? locks.a : locks.b).acquire();
      await released;
      return took / 2;
    },
    async [Symbol.asyncDispose]() {
      waiting.catch(() => {}); // Closing ends the wait.
      await coord.close();
    },
  };
}

/** The same with nothing but the backend's own client. */
async function openBell(
  bell: Bell,
  backend: string,
  url: string,
  partner: Worker,
): Promise<Subject & AsyncDisposable> {
  await partner.call("playBell", backend, url);
  return {
    async once() {
      await sleep(PAUSE);
      const start = performance.now();
      const rung = bell.ring();
      await bell.heard();
      const took = performance.now() - start;
      await rung;
      return took / 2;
    },
    [Symbol.asyncDispose]: async () => void await bell.close(),
  };
}

/** Measures both in turn, with one partner process. */
export async function measureHandoff(
  backend: BenchedBackend,
  url: string,
  amount: Amount,
): Promise<Handoffs> {
  await using partner = await startPartner();
  await using locks = await openLocks(url, partner);
  if (!backend.bell) {
    const [ours] = await measure([locks], amount);
    return { ours: ours as Summary, floor: undefined }; // There is a summary for each subject.
  }
  await using bell = await openBell(await backend.bell(url, "left"), backend.name, url, partner);
  const [ours, floor] = await measure([locks, bell], amount);
  return { ours: ours as Summary, floor };
}
