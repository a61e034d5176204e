import assert from "node:assert/strict";
import type { Runtime } from "../../processes/runtimes.ts";
import type { RemoteMember } from "../remote.ts";
import type { Case, Stage } from "../suite.ts";
import { elapse, within } from "../waiting.ts";

const RUNTIMES: readonly Runtime[] = ["deno", "bun", "node"];

/** So long that nobody waits for it: what is free sooner was freed by the crash. */
const AGES = 120_000;

/** For who is stopped: others wait that long for it, in ms. */
const SHORT = 1_500;

/** With `CRASH_RELEASE` the ttl plays no part, and a case shows it; else it is short. */
function ttlOf(stage: Stage): { ttl: number } {
  return { ttl: stage.has("CRASH_RELEASE") ? AGES : stage.ttl };
}

/** One process of each runtime. */
async function members(stage: Stage): Promise<RemoteMember[]> {
  return await Promise.all(RUNTIMES.map((runtime) => stage.worker(runtime, ttlOf(stage))));
}

export const crashes: readonly Case[] = [
  {
    name: "a lock whose holder is killed goes to the next, whatever the runtimes",
    holds: ["C10", "X2", "X4", "X13", "LE6"],
    smoke: true,
    needs: ["processes"],
    async run(stage) {
      const [one, name] = [await stage.open({ ttl: AGES }), stage.name("lock")];
      let last = 0n;
      for (const member of await members(stage)) {
        const held = await member.acquire(name);
        assert.ok(held.token > last);
        const next = one.lock(name).acquire();
        await stage.queued(name, 1);
        await member.kill();
        const lease = await within(next, `the lock of the killed ${member.runtime} process is free`);
        assert.ok(lease.token > held.token, `${lease.token} after ${held.token}`);
        last = lease.token;
        assert.equal(await lease.release(), true);
      }
    },
  },
  {
    name: "a waiter that is killed does not hold up those behind it",
    holds: ["C10", "X2", "X13"],
    needs: ["processes"],
    async run(stage) {
      const [one, two, name] = [
        await stage.open({ ttl: AGES }),
        await stage.open({ ttl: AGES }),
        stage.name("lock"),
      ];
      const lease = await one.lock(name).acquire();
      const waiters = await members(stage);
      for (const [i, member] of waiters.entries()) {
        member.acquire(name).catch(() => {}); // It is killed before.
        await stage.queued(name, i + 1);
      }
      const next = two.lock(name).acquire();
      await stage.queued(name, 4);
      await Promise.all(waiters.map((member) => member.kill()));
      await lease.release();
      const successor = await within(next, "the living waiter holds");
      assert.equal(await successor.release(), true);
      await stage.eventually(async () => (await stage.entries(name)).length === 0);
    },
  },
  {
    name: "a holder and the first waiter that are killed at once leave the lock to the second",
    holds: ["C10", "X2", "X13"],
    needs: ["processes"],
    async run(stage) {
      const [one, name] = [await stage.open({ ttl: AGES }), stage.name("lock")];
      const [holder, waiter] = [
        await stage.worker(undefined, ttlOf(stage)),
        await stage.worker(undefined, ttlOf(stage)),
      ];
      await holder.acquire(name);
      waiter.acquire(name).catch(() => {}); // It is killed before.
      await stage.queued(name, 1);
      const next = one.lock(name).acquire();
      await stage.queued(name, 2);
      await Promise.all([holder.kill(), waiter.kill()]);
      assert.equal(await (await within(next, "the living waiter holds")).isHeld(), true);
    },
  },
  {
    name: "a reader that is killed lets the writer in, other readers stay in its way",
    holds: ["C10", "L6", "X13"],
    needs: ["processes"],
    async run(stage) {
      const [one, two, name] = [
        await stage.open({ ttl: AGES }),
        await stage.open({ ttl: AGES }),
        stage.name("lock"),
      ];
      const member = await stage.worker(undefined, ttlOf(stage));
      await member.acquire(name, { mode: "shared" });
      const reader = await one.lock(name).acquire({ mode: "shared" });
      const writer = two.lock(name).acquire();
      await stage.queued(name, 1);
      await member.kill();
      await stage.eventually(async () => (await one.lock(name).holders()).length === 1);
      await stage.queued(name, 1);
      assert.equal(await reader.release(), true);
      assert.equal(await (await within(writer, "the writer holds")).isHeld(), true);
    },
  },
  {
    name: "processes that contend go on when one of them is killed in the middle",
    holds: ["C10", "L6", "LE6"],
    needs: ["processes"],
    async run(stage) {
      const name = stage.name("lock");
      const [victim, ...others] = await members(stage);
      const doomed = victim?.contend(name, { rounds: 100_000, hold: 1 });
      doomed?.catch(() => {}); // It is killed before.
      const contests = others.map((member) => member.contend(name, { rounds: 25, hold: 1 }));
      await stage.eventually(async () =>
        (await stage.entries(name)).some(({ memberId }) => memberId === victim?.memberId)
      );
      await victim?.kill();
      const turns = (await within(Promise.all(contests), "the others had their turns", 40_000)).flat();
      turns.sort((a, b) => Number(a.token - b.token)).reduce((before, next) => {
        assert.ok(
          next.token > before.token && next.from >= before.to,
          `${next.token} beside ${before.token}`,
        );
        return next;
      });
      assert.equal(turns.length, 50);
    },
  },
  {
    name: "a process that closes its coordinator leaves nothing to wait for",
    holds: ["S13"],
    needs: ["processes"],
    async run(stage) {
      const [one, name] = [await stage.open({ ttl: AGES }), stage.name("lock")];
      for (const runtime of RUNTIMES) {
        const member = await stage.worker(runtime, { ttl: AGES });
        await member.acquire(name);
        const next = one.lock(name).acquire();
        await stage.queued(name, 1);
        await member.process.close();
        assert.deepEqual(await member.process.exited, { code: 0, signal: null });
        assert.equal(await (await within(next, "the next holds")).release(), true);
      }
    },
  },
  {
    name: "a waiter that is stopped holds up those behind it no longer than its ttl",
    holds: ["C10"],
    needs: ["processes"],
    async run(stage) {
      const [one, two, name] = [
        await stage.open({ ttl: AGES }),
        await stage.open({ ttl: AGES }),
        stage.name("lock"),
      ];
      const lease = await one.lock(name).acquire();
      const stopped = await stage.worker(undefined, { ttl: SHORT });
      stopped.acquire(name).catch(() => {}); // Its session is lost while it is stopped.
      await stage.queued(name, 1);
      const next = two.lock(name).acquire();
      await stage.queued(name, 2);
      stopped.pause();
      await lease.release();
      const successor = await within(next, "the waiter behind holds");
      stopped.resume();
      assert.equal(await successor.isHeld(), true);
    },
  },
  {
    name: "token still grows after everything was killed that can be",
    holds: ["X15", "LE6"],
    smoke: true,
    needs: ["DURABLE_FENCING", "processes"],
    async run(stage) {
      const name = stage.name("lock");
      const own = stage.has("server") ? await stage.ownServer({ keepsData: true }) : undefined;
      let last = 0n;
      for (const runtime of RUNTIMES) {
        const member = await (own ?? stage).worker(runtime);
        // A server that has just begun may cost a session, and the member goes on with the next one.
        const lease = await stage.eventually(() => member.acquire(name));
        assert.ok(lease.token > last, `${lease.token} after ${last}`);
        last = lease.token;
        await Promise.all([member.kill(), own?.server.kill()]);
        await own?.server.start();
      }
    },
  },
  {
    name: "acquire() that waits asks the backend next to nothing: it is woken",
    holds: ["X12"],
    needs: ["PUSHED_LOCKS", "proxy"],
    async run(stage) {
      const [way, two, name] = [await stage.proxied(), await stage.open({ ttl: AGES }), stage.name("lock")];
      const one = await way.open({ ttl: AGES });
      const lease = await two.lock(name).acquire();
      const waiting = one.lock(name).acquire();
      await stage.queued(name, 1);
      // It may still open the connection on which it waits; a poller is never quiet for so long.
      await stage.eventually(async () => {
        const before = way.proxy.traffic.requestChunks;
        await elapse(1_200);
        const asked = way.proxy.traffic.requestChunks - before;
        assert.ok(asked <= 2, `${asked} requests while it waits`);
        return true;
      });
      await lease.release();
      assert.ok(await within(waiting, "the waiter holds"));
    },
  },
];
