import assert from "node:assert/strict";
import type { Case } from "../suite.ts";
import { after, elapse, failure, within } from "../waiting.ts";

export const shared: readonly Case[] = [
  {
    name: "shared holds of several coordinators overlap and keep writers out",
    holds: ["L6", "L7", "L4"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two, three] = [await stage.open(), await stage.open(), await stage.open()];
      const first = await one.lock(name).acquire({ mode: "shared" });
      const second = await within(two.lock(name).acquire({ mode: "shared" }), "both hold at once");
      assert.deepEqual([first.mode, second.mode], ["shared", "shared"]);
      const holders = await three.lock(name).holders();
      assert.deepEqual(holders.map(({ memberId }) => memberId).sort(), [one.memberId, two.memberId].sort());
      for (const { mode } of holders) assert.equal(mode, "shared");
      assert.equal(await three.lock(name).tryAcquire(), undefined);
      assert.equal(await first.release(), true);
      assert.equal(await three.lock(name).tryAcquire(), undefined);
      assert.equal(await second.release(), true);
      assert.ok(await three.lock(name).tryAcquire());
    },
  },
  {
    name: "shared holds wait for the writer, then come together",
    holds: ["L6"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two, three] = [await stage.open(), await stage.open(), await stage.open()];
      const writer = await one.lock(name).acquire();
      assert.equal(await two.lock(name).tryAcquire({ mode: "shared" }), undefined);
      const readers = [two, three].map((coord) => coord.lock(name).acquire({ mode: "shared" }));
      await writer.release();
      const leases = await within(Promise.all(readers), "both readers hold");
      for (const lease of leases) assert.equal(await lease.isHeld(), true);
    },
  },
  {
    name: "readers of one coordinator that try at once all hold",
    holds: ["L2", "L6"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const tries = [0, 1, 2].map(() => one.lock(name).tryAcquire({ mode: "shared" }));
      const behind = one.lock(name).tryAcquire();
      const leases = await within(Promise.all(tries), "they hold");
      assert.equal(await behind, undefined);
      for (const lease of leases) {
        assert.equal(await two.lock(name).tryAcquire(), undefined);
        assert.equal(await lease?.release(), true);
      }
      assert.ok(await two.lock(name).tryAcquire());
      // Who comes behind one that has given up has nothing to do with that.
      const [free, stop] = [stage.name("lock"), new AbortController()];
      const first = failure(one.lock(free).tryAcquire({ mode: "shared", signal: stop.signal }));
      await elapse(0);
      stop.abort(new Error("enough"));
      const second = await within(one.lock(free).tryAcquire({ mode: "shared" }), "the second has an answer");
      assert.ok(second === undefined || await second.release());
      await first;
    },
  },
  {
    name: "shared holds of one coordinator each count until the last is released",
    holds: ["L6", "LE5", "LE4"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const leases = await Promise.all([0, 1, 2].map(() => one.lock(name).acquire({ mode: "shared" })));
      for (const lease of leases) {
        assert.equal(await two.lock(name).tryAcquire(), undefined);
        assert.equal(await lease.isHeld(), true);
        assert.equal(await lease.release(), true);
        assert.equal(await lease.isHeld(), false);
        assert.equal(await lease.release(), false);
      }
      assert.ok(await within(two.lock(name).acquire(), "the writer holds"));
      for (const lease of leases) assert.equal(lease.signal.aborted, false);
    },
  },
  {
    name: "shared and exclusive callers of one coordinator are served in their order",
    holds: ["L6", "L17", "L10"],
    async run(stage) {
      const [one, name] = [await stage.open(), stage.name("lock")];
      const lock = one.lock(name);
      const [first, second] = await Promise.all([
        lock.acquire({ mode: "shared" }),
        lock.acquire({ mode: "shared" }),
      ]);
      const served: string[] = [];
      const writer = lock.acquire().then((lease) => (served.push("writer"), lease));
      const late = lock.acquire({ mode: "shared" }).then((lease) => (served.push("reader"), lease));
      await first.release();
      assert.equal(await after(50, writer), "pending");
      await second.release();
      const lease = await within(writer, "the writer holds");
      assert.deepEqual([await after(50, late), served], ["pending", ["writer"]]);
      await lease.release();
      assert.equal(await (await within(late, "the last reader holds")).release(), true);
      // While all of them wait for another coordinator.
      const busy = await (await stage.open()).lock(name).acquire();
      const order: string[] = [];
      const uses = (["shared", "exclusive", "shared"] as const).map((mode, at) =>
        lock.use(() => void order.push(`${at} ${mode}`), { mode })
      );
      await stage.queued(name, 1);
      await busy.release();
      await within(Promise.all(uses), "all were served");
      assert.deepEqual(order, ["0 shared", "1 exclusive", "2 shared"]);
    },
  },
  {
    name: "shared holds of one coordinator beside those of another: a writer waits for all",
    holds: ["L6"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two, three] = [await stage.open(), await stage.open(), await stage.open()];
      const leases = await Promise.all(
        [one, one, two, two].map((coord) => coord.lock(name).acquire({ mode: "shared" })),
      );
      let granted = false;
      const writer = three.lock(name).acquire().then((lease) => (granted = true, lease));
      for (const lease of leases) {
        assert.equal(granted, false);
        assert.equal(await lease.release(), true);
      }
      assert.equal(await (await within(writer, "the writer holds")).release(), true);
    },
  },
  {
    name: "shared holds of processes overlap and keep writers out",
    holds: ["L6"],
    smoke: true,
    needs: ["processes"],
    async run(stage) {
      const calm = { ttl: 10_000 };
      const [one, name] = [await stage.open(calm), stage.name("lock")];
      const members = [await stage.worker(undefined, calm), await stage.worker(undefined, calm)];
      const leases = await Promise.all(members.map((member) => member.acquire(name, { mode: "shared" })));
      const own = await one.lock(name).tryAcquire({ mode: "shared" });
      assert.ok(own, "a third reader fits");
      assert.equal((await one.lock(name).holders()).length, 3);
      await own.release();
      assert.equal(await one.lock(name).tryAcquire(), undefined);
      for (const lease of leases) assert.equal(await lease.release(), true);
      assert.ok(await one.lock(name).tryAcquire());
    },
  },
];
