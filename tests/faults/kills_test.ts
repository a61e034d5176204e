// How soon the lock of a killed process is the next one's, where no time-out is waited for, on the backend that
// COORD_BACKEND names.
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Mode } from "../../driver.ts";
import type { RemoteMember } from "../conformance/remote.ts";
import { eventually, within } from "../conformance/waiting.ts";
import { LateError } from "../late.ts";
import { Crew } from "./crew.ts";
import { MORTALS } from "./mortals.ts";
import { Observer } from "./observer.ts";

const backend = process.env.COORD_BACKEND ?? "postgresql";
const mortal = MORTALS[backend];
if (!mortal) throw new Error(`Cannot test ${backend}: want one of ${Object.keys(MORTALS)}`);

const OPTIONS = { timeout: 500_000 };
/** Nobody waits for it: what is free sooner was freed by the end of a process. */
const AGES = 120_000;

/** What a process does while it holds a lock. */
const DOINGS: Readonly<Record<string, (member: RemoteMember) => void>> = {
  idle: () => {},
  busy: (member) => void member.contend("busy", { rounds: 1_000_000 }).catch(() => {}), // It is killed.
  waiting: (member) => void member.acquire("second").catch(() => {}), // The same.
};

test(
  `${backend}: the lock of a killed process is the next one's within ${mortal.limit} ms`,
  OPTIONS,
  async () => {
    await using place = await mortal.start();
    await using crew = new Crew(AGES);
    await using observer = await Observer.open(mortal.factory, place.url, crew.namespace);
    const waiters = [await crew.hire(place.url), await crew.hire(place.url), await crew.hire(place.url)];
    const second = await waiters[0]?.acquire("second");
    const took: number[] = [];
    const unfit: string[] = [];
    for (let i = 0; took.length < mortal.kills; i++) {
      if (i >= 2 * mortal.kills) {
        throw new LateError(`${unfit.length} of ${i} not counted, in ms: ${unfit.join(", ")}`);
      }
      const [doing = "idle", mode]: [string | undefined, Mode] = [
        Object.keys(DOINGS)[i % 3],
        i % 2 ? "shared" : "exclusive",
      ];
      const [victim, name] = [await crew.hire(place.url), `lock-${i}`];
      // Another runtime each time.
      const next = waiters.find(({ runtime }, n) => runtime !== victim.runtime && n !== i % 2);
      const held = await victim.acquire(name, { mode });
      place.check?.(crew.namespace);
      const granted = next?.acquire(name, {
        mode: i % 4 < 2 ? "exclusive" : mode === "shared" ? "exclusive" : "shared",
      });
      DOINGS[doing]?.(victim);
      await eventually(async () =>
        await observer.waiting(name) === 1 && (doing !== "waiting" || await observer.waiting("second") === 1)
      );
      const killed = Date.now();
      victim.process.kill("SIGKILL");
      const dying = victim.process.exited.then(() => Date.now() - killed);
      const pause = longestPause(next, granted);
      const lease = await within(
        Promise.resolve(granted),
        `the lock of an ${doing} ${victim.runtime} is free`,
      );
      assert.ok(lease && lease.token > held.token);
      // Where the machine was too busy to end the one or to let the next one run, that is no property of the lock.
      const isFit = await pause < mortal.limit / 4 && await dying < mortal.limit / 2;
      if (isFit) took.push(lease.at - killed);
      else unfit.push(`${lease.at - killed} (${await dying} to die, ${Math.round(await pause)} to answer)`);
      await lease.release();
      await eventually(async () => await observer.waiting("second") === 0);
    }
    await second?.release();
    took.sort((a, b) => a - b);
    const [median, longest] = [took[took.length >> 1] ?? NaN, took.at(-1) ?? NaN];
    console.log(
      `${backend}: ${mortal.kills} kills, the next held after ${median} ms, at most ${longest} ms; ` +
        `${unfit.length} more not counted`,
    );
    if (unfit.length > 0) console.log(`not counted, in ms: ${unfit.join(", ")}`);
    assert.ok(longest <= mortal.limit, `it took ${longest} ms`);
    await Promise.all(waiters.map((waiter) => waiter.close()));
    await observer[Symbol.asyncDispose]();
    place.checkEnd?.(crew.namespace, 1);
    // Who comes next removes what the last one left that was killed.
    await (await Observer.open(mortal.factory, place.url, `${crew.namespace}-next`))[Symbol.asyncDispose]();
    place.checkEnd?.(crew.namespace, 0);
  },
);

/** How long a process needed at most, in ms, to answer what needs nobody else, until something has happened. */
async function longestPause(
  member: RemoteMember | undefined,
  happening: Promise<unknown> | undefined,
): Promise<number> {
  let [longest, isOver] = [0, false];
  const over = () => isOver = true;
  happening?.then(over, over);
  do {
    const asked = performance.now();
    await member?.state();
    longest = Math.max(longest, performance.now() - asked);
    await sleep(2);
  } while (!isOver);
  return longest;
}
