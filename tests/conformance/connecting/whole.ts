import assert from "node:assert/strict";
import { ConnectionError, CoordError, SessionLostError } from "../../../mod.ts";
import { iterate } from "../reading.ts";
import type { Case } from "../suite.ts";
import { failure, within } from "../waiting.ts";

export const whole: readonly Case[] = [
  {
    name: "every method works: none of them declines",
    holds: ["C2", "C3"],
    smoke: true,
    async run(stage) {
      const [coord, id] = [await stage.open({ ttl: 30_000 }), stage.name("all")];
      const [lock, group, election] = [coord.lock(id), coord.group(id), coord.election(id)];
      const states = iterate(coord.states());
      assert.equal((await states.next()).value, "connected");
      assert.ok(await coord.heartbeat() < Infinity);

      for (const mode of ["exclusive", "shared"] as const) {
        const lease = await lock.acquire({ mode });
        assert.equal(await lease.isHeld(), true);
        assert.ok(lease.remaining() > 0);
        assert.equal((await lock.holders()).length, 1);
        assert.equal(await lease.release(), true);
        assert.equal(await (await lock.tryAcquire({ mode }))?.release(), true);
        assert.equal(await lock.use(({ token }) => typeof token, { mode, timeout: 10_000 }), "bigint");
      }
      assert.equal(await lock.break(), false);

      await group.create();
      assert.deepEqual(await coord.groups(), [id]);
      const watch = await group.watch();
      const joined = await group.join({ n: 1 });
      await joined.update({ n: 2 });
      await group.update({ n: 3 });
      assert.deepEqual((await group.members()).get(coord.memberId), await group.member(coord.memberId));
      const again = await group.join({ n: 4 }, { replace: true });
      assert.equal(await again.leave(), true);
      await group.join();
      await group.leave();
      await group.delete();
      for await (const event of watch) if (event.type === "deleted") break;

      const leaders = await election.watch();
      const leadership = await election.campaign({ value: "1" });
      await leadership.proclaim("2");
      assert.equal((await election.leader())?.value, "2");
      assert.equal(await leadership.resign(), true);
      assert.equal(await (await election.tryCampaign())?.resign(), true);
      await election.lead(async () => {});
      await leaders[Symbol.asyncDispose]();

      const partitioner = await group.partition();
      assert.equal(partitioner.isMine("key"), true);
      await partitioner[Symbol.asyncDispose]();
      await coord.close();
      assert.equal(coord.state, "closed");
    },
  },
  {
    name: "coordinators of one process exclude one another",
    holds: ["X1", "L6", "LE6"],
    async run(stage) {
      const name = stage.name("lock");
      const coords = await Promise.all(Array.from({ length: 6 }, () => stage.open({ ttl: 30_000 })));
      const [tokens, inside] = [[] as bigint[], { now: 0 }];
      await Promise.all(coords.map(async (coord) => {
        for (let round = 0; round < 8; round++) {
          await coord.lock(name).use(async ({ token }) => {
            assert.equal(++inside.now, 1, "two are inside");
            tokens.push(token);
            await Promise.resolve();
            inside.now--;
          });
        }
      }));
      assert.equal(tokens.length, 48);
      for (const [i, token] of tokens.entries()) assert.ok(i === 0 || token > (tokens[i - 1] ?? 0n));
    },
  },
  {
    name: "errors of the client library do not escape: they are the cause",
    holds: ["R5", "R6", "S9", "S16"],
    needs: ["server"],
    async run(stage) {
      const { open, server } = await stage.ownServer();
      const coord = await open({ ttl: 3_000 });
      const name = stage.name("name");
      await coord.group(name).create();
      await server.kill();
      const calls = {
        acquire: coord.lock(name).acquire({ timeout: 500 }),
        tryAcquire: coord.lock(name).tryAcquire(),
        holders: coord.lock(name).holders(),
        break: coord.lock(name).break(),
        groups: coord.groups(),
        join: coord.group(name).join(),
        members: coord.group(name).members(),
        watch: coord.group(name).watch(),
        leader: coord.election(name).leader(),
        campaign: coord.election(name).campaign({ timeout: 500 }),
        heartbeat: coord.heartbeat(),
        connect: open({ ttl: 3_000 }),
      };
      const waits = new Set(["acquire", "campaign"]);
      const errors = Object.entries(calls).map(async ([what, call]) => [what, await failure(call)] as const);
      for (const [what, error] of await within(Promise.all(errors), "all calls have failed")) {
        assert.ok(error instanceof CoordError, `${what}: ${error}`);
        assert.equal(error.driver, stage.driver, what);
        // What waits when the session is lost, which a backend may find out only by that, rejects with it.
        if (what === "heartbeat" || (waits.has(what) && error instanceof SessionLostError)) continue;
        assert.ok(error instanceof ConnectionError, `${what}: ${error}`);
      }
    },
  },
];
