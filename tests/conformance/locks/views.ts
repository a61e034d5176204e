import assert from "node:assert/strict";
import type { Case } from "../suite.ts";
import { within } from "../waiting.ts";

export const views: readonly Case[] = [
  {
    name: "holders() says who holds, in which mode, with which token, and since when",
    holds: ["L4"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      assert.deepEqual(await one.lock(name).holders(), []);
      const lease = await one.lock(name).acquire();
      const waiting = two.lock(name).acquire();
      await stage.queued(name, 1);
      const [holder, ...others] = await two.lock(name).holders();
      assert.deepEqual(others, [], "who waits does not hold");
      assert.deepEqual([holder?.memberId, holder?.mode, holder?.token], [
        one.memberId,
        "exclusive",
        lease.token,
      ]);
      // An hour covers any difference between two clocks that a machine room knows.
      if (holder?.since) {
        assert.ok(Math.abs(holder.since.getTime() - Date.now()) < 3_600_000, String(holder.since));
      }
      await lease.release();
      const next = await within(waiting, "the next holds");
      assert.deepEqual((await one.lock(name).holders()).map(({ token }) => token), [next.token]);
    },
  },
  {
    name: "locks of two namespaces do not meet",
    holds: ["C9"],
    async run(stage) {
      const name = stage.name("lock");
      const one = await stage.open();
      const two = await stage.open({ namespace: `${stage.namespace}-2` });
      const lease = await one.lock(name).acquire();
      const other = await two.lock(name).tryAcquire();
      assert.ok(other, "the other namespace's lock of that name is free");
      assert.deepEqual((await two.lock(name).holders()).map(({ memberId }) => memberId), [two.memberId]);
      assert.equal(await two.lock(name).break(), true);
      assert.equal(await lease.isHeld(), true);
      assert.equal(await lease.release(), true);
    },
  },
  {
    name: "a lock and an election of one name do not meet",
    holds: ["E1"],
    async run(stage) {
      const name = stage.name("both");
      const [one, two] = [await stage.open(), await stage.open()];
      const lease = await one.lock(name).acquire();
      const leadership = await two.election(name).tryCampaign();
      assert.ok(leadership, "the election has no leader yet");
      assert.equal((await one.election(name).leader())?.memberId, two.memberId);
      assert.deepEqual((await two.lock(name).holders()).map(({ memberId }) => memberId), [one.memberId]);
      assert.equal(await two.lock(name).break(), true);
      assert.equal(await leadership.isHeld(), true);
      assert.equal(await lease.isHeld(), false);
    },
  },
  {
    name: "locks of other names do not meet, also in one coordinator",
    holds: ["L1"],
    async run(stage) {
      const [one, name] = [await stage.open(), stage.name("lock")];
      const names = [name, `${name}-1`, `${name}/1`, name.toUpperCase(), ` ${name}`];
      const leases = await Promise.all(names.map((each) => one.lock(each).acquire({ timeout: 5_000 })));
      assert.deepEqual(leases.map((lease) => lease.name), names);
      assert.equal(await leases[0]?.release(), true);
      for (const lease of leases.slice(1)) assert.equal(await lease.isHeld(), true);
    },
  },
  {
    name: "one coordinator holds 1,000 locks for longer than its ttl",
    holds: ["C10", "LE4", "S4"],
    async run(stage) {
      const ttl = 10_000;
      const [one, two] = [await stage.open({ ttl }), await stage.open({ ttl: 20_000 })];
      const names = Array.from({ length: 1_000 }, () => stage.name("lock"));
      const leases = await within(
        Promise.all(names.map((name) => one.lock(name).acquire())),
        "all are held",
        40_000,
      );
      const until = performance.now() + ttl * 1.2;
      while (performance.now() < until) {
        const due = await one.heartbeat();
        assert.ok(due >= 0 && due <= ttl, String(due));
        for (const lease of leases) assert.equal(lease.signal.aborted, false);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      for (const lease of leases.slice(0, 1_000)) assert.ok(lease.remaining() > 0);
      for (const name of names.slice(490, 510)) assert.equal(await two.lock(name).tryAcquire(), undefined);
      const held = await Promise.all(leases.slice(0, 50).map((lease) => lease.isHeld()));
      assert.ok(held.every(Boolean));
      const released = await Promise.all(leases.slice(500).map((lease) => lease.release()));
      assert.ok(released.every(Boolean));
      assert.ok(await two.lock(names[750] ?? "").tryAcquire());
      await within(one.close(), "the coordinator is closed");
      assert.ok(await two.lock(names[250] ?? "").tryAcquire());
    },
  },
];
