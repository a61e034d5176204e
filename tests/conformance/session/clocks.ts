import assert from "node:assert/strict";
import { LockLostError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { aborted, after, elapse, eventually, within } from "../waiting.ts";

/** A ttl for who is stopped, or does not renew, in ms. */
const SHORT = 1_500;

/** A ttl for who looks on, and is not to be lost on a slow machine, in ms. */
const LONG = 20_000;

/** Blocks the event loop. */
function stall(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

export const clocks: readonly Case[] = [
  {
    name: "signal fires before another is granted what a member that is cut off holds",
    holds: ["LE10", "C11", "X14"],
    needs: ["line", "expiry"],
    async run(stage) {
      const [line, name] = [await stage.line(), stage.name("lock")];
      const [one, two] = [await line.open(), await stage.open({ ttl: LONG })];
      const lease = await one.lock(name).acquire();
      const granted = two.lock(name).acquire().then((next) => ({ next, at: performance.now() }));
      await stage.queued(name, 1);
      let lostAt = Infinity;
      lease.signal.addEventListener("abort", () => lostAt = performance.now());
      line.sever();
      const { next, at } = await within(granted, "the lock is granted to the next");
      assert.ok(lostAt < at, `lost at ${lostAt}, granted at ${at}`);
      assert.ok(lease.signal.reason instanceof LockLostError);
      assert.ok(next.token > lease.token);
    },
  },
  {
    name: "signal fires a margin before the ttl is over where a connection swallows everything",
    holds: ["LE10", "C11"],
    needs: ["proxy"],
    async run(stage) {
      const way = await stage.proxied();
      const one = await way.open({ ttl: 12_000, margin: 9_000 });
      const lease = await one.lock(stage.name("lock")).acquire();
      way.proxy.blackHole();
      assert.ok(await aborted(lease.signal, "the deadline is ours", 8_000) instanceof LockLostError);
      assert.throws(() => lease.remaining(), LockLostError);
    },
  },
  {
    name: "remaining() counts from when the renewal was sent",
    holds: ["LE10", "LE3"],
    needs: ["proxy", "expiry"],
    async run(stage) {
      const [way, ttl, delay] = [await stage.proxied(), 12_000, 600];
      const one = await way.open({ ttl, margin: 1_000, heartbeat: "manual" });
      const lease = await one.lock(stage.name("lock")).acquire();
      way.proxy.delay(delay);
      const due = await within(one.heartbeat(), "the heartbeat is answered");
      assert.ok(due >= 0 && due <= ttl / 3, String(due));
      const left = lease.remaining();
      assert.ok(left > 0 && left <= ttl - 1_000 - delay, `${left} ms left`);
    },
  },
  {
    name: "remaining() stays below the ttl, or is Infinity where nothing expires",
    holds: ["LE3", "LE8", "S1", "C10"],
    async run(stage) {
      const one = await stage.open({ ttl: 5_000 });
      const lease = await one.lock(stage.name("lock")).acquire();
      assert.ok(one.session.ttl >= 5_000);
      if (!stage.has("expiry")) return assert.equal(lease.remaining(), Infinity);
      const left = lease.remaining();
      assert.ok(left > 0 && left <= one.session.ttl, String(left));
      await elapse(50);
      assert.ok(lease.remaining() < left);
    },
  },
  {
    name: "a wall clock that jumps ahead ends a hold that can expire, one set back extends none",
    holds: ["LE11"],
    async run(stage) {
      let offset = 0;
      const ends = stage.has("expiry") || stage.has("bound");
      const one = await stage.open({
        ttl: 20_000,
        wrap: (opener) => ({
          ...opener,
          clock: {
            now: () => opener.clock.now(),
            wall: () => opener.clock.wall() + offset,
            after: opener.clock.after,
          },
        }),
      });
      const lease = await one.lock(stage.name("lock")).acquire();
      offset = -1_000_000;
      if (stage.has("expiry")) assert.ok(lease.remaining() <= 20_000);
      assert.equal(lease.signal.aborted, false);
      offset = 1_000_000;
      assert.equal(lease.signal.aborted, ends);
    },
  },
  {
    name: "the first read after a stall of four ttls tells whether the hold is lost",
    holds: ["LE12", "LE9"],
    smoke: true,
    alone: true,
    async run(stage) {
      const ttl = 1_000;
      const one = await stage.open({ ttl });
      const [name, other] = [stage.name("lock"), stage.name("lock")];
      const [signalled, measured] = [await one.lock(name).acquire(), await one.lock(other).acquire()];
      stall(4 * ttl);
      const ends = stage.has("expiry") || stage.has("bound");
      if (ends) assert.throws(() => measured.remaining(), LockLostError);
      else assert.equal(measured.remaining(), Infinity);
      assert.equal(signalled.signal.aborted, ends);
      assert.equal(await signalled.isHeld(), !ends);
    },
  },
  {
    name: "the first read after a stall tells in every runtime",
    holds: ["LE12"],
    needs: ["processes"],
    async run(stage) {
      const reads = (["deno", "bun", "node"] as const).map(async (runtime) => {
        const member = await stage.worker(runtime, { ttl: SHORT });
        // Three processes start at once: a busy machine may take longer than an operation has.
        const lease = await eventually(() => member.acquire(stage.name("lock")));
        return await within(lease.stallAndRead(4 * SHORT), "the stall is over", 30_000);
      });
      assert.deepEqual(await Promise.all(reads), Array(3).fill(stage.has("expiry") || stage.has("bound")));
    },
  },
  {
    name:
      "a holder that is stopped for longer than the ttl finds its hold lost, or still has it where the kernel keeps it",
    holds: ["LE10", "LE12", "LE14"],
    needs: ["processes"],
    async run(stage) {
      const name = stage.name("lock");
      const holder = await stage.worker(undefined, { ttl: SHORT });
      const two = await stage.open({ ttl: 20_000 });
      const lease = await holder.acquire(name);
      const waiting = two.lock(name).acquire();
      await stage.queued(name, 1);
      holder.pause();
      if (stage.has("expiry")) {
        const next = await within(waiting, "the lock is granted to the next");
        holder.resume();
        assert.equal(await lease.isLost(), true);
        assert.equal(await lease.release(), false);
        assert.equal(await next.isHeld(), true);
        assert.ok(next.token > lease.token);
      } else {
        assert.equal(await after(2 * SHORT, waiting), "pending");
        holder.resume();
        // What only a connection ends is held for it, but nobody could say so meanwhile.
        assert.equal(await lease.isLost(), stage.has("bound"));
        assert.equal(await lease.release(), !stage.has("bound"));
        await within(waiting, "the lock is granted to the next");
      }
    },
  },
  {
    name: "a manual heartbeat keeps the session, and its absence gives it up",
    holds: ["C12", "S4"],
    async run(stage) {
      const ttl = 3 * SHORT;
      const one = await stage.open({ ttl, heartbeat: "manual" });
      const lease = await one.lock(stage.name("lock")).acquire();
      for (let i = 0; i < 6; i++) {
        const due = await one.heartbeat();
        assert.ok(due >= 0 && due <= ttl, String(due));
        await elapse(ttl / 4);
      }
      assert.equal(lease.signal.aborted, false);
      assert.ok(await aborted(lease.signal) instanceof LockLostError);
    },
  },
];
