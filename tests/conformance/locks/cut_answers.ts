import assert from "node:assert/strict";
import type { Coordinator } from "../../../core/api/coordinator.ts";
import type { Lease } from "../../../core/api/lock.ts";
import { ConnectionError } from "../../../mod.ts";
import { loseAnswer, type Loss } from "../interrupting.ts";
import type { Case, Stage } from "../suite.ts";
import { failure, within } from "../waiting.ts";

/** Long, so that heartbeats are rare and a reconnect has time. */
const TTL = 15_000;

/** No operation makes more requests, what it repeats and asks after a reconnect included. */
const MOST = 30;

/**
 * Runs an operation for each of its requests, with that one's answer lost, until it makes no further one, and the session
 * `kept` or not: what else it holds stays held, or its signal fires.
 */
async function forEachLoss(
  stage: Stage,
  play: (name: string, one: Coordinator, lose: () => void) => Promise<void>,
  kept = false,
): Promise<void> {
  for (let step = 0, isLost = true; isLost; step++) {
    assert.ok(step < MOST, "it makes one request after the other");
    const way = await stage.proxied();
    const one = await way.open({ ttl: TTL });
    // Makes the connection, which must not count as a step.
    const other = await one.lock(stage.name("other")).acquire();
    let loss: Loss | undefined;
    await play(stage.name(`lock-${step}`), one, () => loss = loseAnswer(stage, way, step, kept));
    assert.ok(loss, "it loses an answer");
    isLost = loss.stop();
    const isHeld = await within(other.isHeld(), "the backend answers");
    assert.ok(isHeld || other.signal.aborted, "what else is held stays held, or is signalled");
    assert.ok(isHeld || !kept, "a session that is kept keeps what it holds");
  }
}

async function heldAlone(stage: Stage, name: string, one: Coordinator, lease: Lease): Promise<void> {
  assert.equal(await lease.isHeld(), true);
  assert.deepEqual((await stage.entries(name)).map(({ memberId, token }) => [memberId, token]), [[
    one.memberId,
    lease.token,
  ]]);
}

async function free(stage: Stage, name: string): Promise<void> {
  await stage.eventually(async () => (await stage.entries(name)).length === 0);
}

export const cutAnswers: readonly Case[] = [
  {
    name: "acquire() and tryAcquire() whose answer is lost find their grant again",
    holds: ["S10", "L14"],
    needs: ["proxy"],
    async run(stage) {
      for (const mode of ["exclusive", "shared"] as const) {
        await forEachLoss(stage, async (name, one, lose) => {
          lose();
          const lease = await within(one.lock(name).acquire({ mode }), "the lock is taken");
          await heldAlone(stage, name, one, lease);
          assert.equal(await within(lease.release(), "it is given back"), true);
          await free(stage, name);
        }, true);
      }
      await forEachLoss(stage, async (name, one, lose) => {
        lose();
        const lease = await within(one.lock(name).tryAcquire(), "the try ends");
        assert.ok(lease, "a free lock is not busy");
        await heldAlone(stage, name, one, lease);
      }, true);
    },
  },
  {
    name: "release() whose answer is lost gives the lock to the next, and never says that it had not",
    holds: ["LE5", "LE15", "S10"],
    needs: ["proxy"],
    async run(stage) {
      const two = await stage.open({ ttl: TTL });
      await forEachLoss(stage, async (name, one, lose) => {
        const lease = await one.lock(name).acquire();
        const next = two.lock(name).acquire();
        await stage.queued(name, 1);
        lose();
        const outcome = await within(lease.release().catch((error: unknown) => error), "the release ends");
        assert.ok(outcome === true || outcome instanceof ConnectionError, String(outcome));
        const successor = await within(next, "the next holds");
        await heldAlone(stage, name, two, successor);
        assert.equal(lease.signal.aborted, false);
        assert.equal(await successor.release(), true);
        await free(stage, name);
      });
    },
  },
  {
    name: "acquire() that waits is granted although an answer is lost on the way",
    holds: ["S10", "L16"],
    needs: ["proxy"],
    async run(stage) {
      const [two, three] = [await stage.open({ ttl: TTL }), await stage.open({ ttl: TTL })];
      await forEachLoss(stage, async (name, one, lose) => {
        const before = await two.lock(name).acquire();
        const waiting = one.lock(name).acquire();
        await stage.queued(name, 1);
        const behind = three.lock(name).acquire();
        await stage.queued(name, 2);
        lose();
        assert.equal(await before.release(), true);
        const lease = await within(waiting, "the waiter holds");
        await stage.queued(name, 1);
        assert.equal(await lease.isHeld(), true);
        assert.equal(await within(lease.release().catch(() => true), "it is given back"), true);
        assert.ok(await within(behind, "the next holds"));
      }, true);
    },
  },
  {
    name: "acquire() that waits keeps its place when its connection is cut while it is granted",
    holds: ["S10", "L16"],
    needs: ["proxy"],
    async run(stage) {
      const [way, two] = [await stage.proxied(), await stage.open({ ttl: TTL })];
      const one = await way.open({ ttl: TTL });
      for (let i = 0; i < 8; i++) {
        const name = stage.name("lock");
        const before = await two.lock(name).acquire();
        const waiting = one.lock(name).acquire();
        await stage.queued(name, 1);
        const released = before.release();
        if (i % 2) await released;
        way.interrupt(() => way.proxy.cut());
        await released;
        way.heal();
        const lease = await within(waiting, "the waiter holds");
        assert.equal(await within(lease.isHeld(), "the backend answers"), true);
        assert.equal(await lease.release(), true);
      }
    },
  },
  {
    name: "acquire() that gives up while the answer to that is lost leaves no queue entry",
    holds: ["L13", "L14", "L15"],
    needs: ["proxy"],
    async run(stage) {
      const [two, three] = [await stage.open({ ttl: TTL }), await stage.open({ ttl: TTL })];
      await forEachLoss(stage, async (name, one, lose) => {
        const before = await two.lock(name).acquire();
        const giveUp = new AbortController();
        const failed = failure(one.lock(name).acquire({ signal: giveUp.signal }));
        await stage.queued(name, 1);
        const behind = three.lock(name).acquire();
        await stage.queued(name, 2);
        lose();
        giveUp.abort("enough");
        assert.equal(await within(failed, "the wait ends"), "enough");
        await stage.queued(name, 1);
        assert.equal(await before.release(), true);
        assert.equal(await (await within(behind, "the next holds")).release(), true);
        await free(stage, name);
      });
    },
  },
  {
    name: "acquire() that is aborted under way, with its answer lost, leaves no trace",
    holds: ["L13", "L14", "L15"],
    needs: ["proxy"],
    async run(stage) {
      await forEachLoss(stage, async (name, one, lose) => {
        const giveUp = new AbortController();
        lose();
        const failed = failure(one.lock(name).acquire({ signal: giveUp.signal }));
        setImmediate(() => giveUp.abort("enough"));
        const error = await within(failed, "the wait ends");
        assert.ok(error === "enough" || error === undefined, String(error));
        if (error === "enough") await free(stage, name);
      });
    },
  },
  {
    name: "break() and holders() whose answer is lost tell the truth",
    holds: ["L4", "L5", "L21", "S10"],
    needs: ["proxy"],
    async run(stage) {
      const two = await stage.open({ ttl: TTL });
      await forEachLoss(stage, async (name, one, lose) => {
        const old = await two.lock(name).acquire();
        lose();
        const holders = await within(one.lock(name).holders(), "the holders are known");
        assert.deepEqual(holders.map(({ token }) => token), [old.token]);
      }, true);
      await forEachLoss(stage, async (name, one, lose) => {
        const old = await two.lock(name).acquire();
        lose();
        const outcome = await within(
          one.lock(name).break().catch((error: unknown) => error),
          "the break ends",
        );
        if (outcome instanceof ConnectionError) await one.lock(name).break();
        const lease = await one.lock(name).tryAcquire();
        assert.ok(lease, "when break() has resolved, the lock can be taken");
        assert.ok(lease.token > old.token);
      }, true);
    },
  },
];
