import assert from "node:assert/strict";
import type { Leader } from "../../../core/api/election.ts";
import { iterate, next, until } from "../reading.ts";
import type { Case } from "../suite.ts";
import { aborted } from "../waiting.ts";

export const watching: readonly Case[] = [
  {
    name: "a leader watch starts from the present leader and tells each change",
    holds: ["E6", "E13", "E14", "E15"],
    smoke: true,
    async run(stage) {
      const id = stage.name("election");
      const [one, two] = [await stage.open(), await stage.open()];
      await using none = await two.election(id).watch();
      assert.deepEqual([none.leader, none.fresh], [undefined, true]);
      const first = await one.election(id).campaign({ value: "a" });
      await using watch = await two.election(id).watch();
      assert.deepEqual(watch.leader, { memberId: one.memberId, token: first.token, value: "a" });
      const leaders = iterate(watch);

      await first.proclaim("b");
      assert.equal((await next(leaders, "the new value is seen"))?.value, "b");
      assert.equal(watch.leader?.value, "b");

      await first.resign();
      assert.equal(await next(leaders, "the resignation is seen"), undefined);
      assert.equal(watch.leader, undefined);

      const second = await two.election(id).campaign({ value: "c" });
      assert.equal((await next(leaders, "the next leader is seen"))?.token, second.token);
      const latest = await until(
        iterate(none),
        (leader) => leader?.value === "c",
        "the other watch gets there",
      );
      assert.deepEqual(latest, watch.leader);
    },
  },
  {
    name: "a leader watch loses nothing while it is set up",
    holds: ["E6"],
    async run(stage) {
      const [one, two] = [await stage.open({ ttl: 30_000 }), await stage.open({ ttl: 30_000 })];
      for (let round = 0; round < 10; round++) {
        const election = one.election(stage.name("election"));
        const campaign = election.campaign({ value: `${round}` });
        for (let turns = 0; turns < round; turns++) await Promise.resolve();
        await using watch = await two.election(election.id).watch();
        const leadership = await campaign;
        const leaders = iterate(watch);
        while (watch.leader?.token !== leadership.token) await next(leaders, "the leader is seen");
      }
    },
  },
  {
    name: "two leader watches agree once they have heard of the last change",
    holds: ["E6", "E14"],
    async run(stage) {
      const id = stage.name("election");
      const coords = await Promise.all(Array.from({ length: 3 }, () => stage.open({ ttl: 30_000 })));
      const watches = await Promise.all(coords.map((coord) => coord.election(id).watch()));
      await Promise.all(coords.map(async (coord) => {
        for (let round = 0; round < 5; round++) {
          const leadership = await coord.election(id).campaign({ value: coord.memberId });
          await leadership.proclaim(`${coord.memberId} ${round}`);
          await leadership.resign();
        }
      }));
      const last = await coords[0]?.election(id).campaign({ value: "last" });
      for (const watch of watches) {
        const leaders = iterate<Leader | undefined>(watch);
        let greatest = watch.leader?.token ?? 0n;
        while (watch.leader?.value !== "last") {
          const token = (await next(leaders, "the last leader is seen"))?.token ?? greatest;
          assert.ok(token >= greatest, "leaders are told in their order");
          greatest = token;
        }
        assert.equal(watch.leader.token, last?.token);
        await watch[Symbol.asyncDispose]();
      }
    },
  },
  {
    name: "a leader watch survives the loss of its session",
    holds: ["E15", "W9", "S6"],
    async run(stage) {
      const id = stage.name("election");
      const [one, observer] = [await stage.open(), await stage.open({ heartbeat: "manual" })];
      const first = await one.election(id).campaign({ value: "first" });
      await using watch = await observer.election(id).watch();
      await aborted(observer.session.signal, "the session is lost");
      await first.resign();
      const second = await one.election(id).campaign({ value: "second" });
      const seen = await until(iterate(watch), (leader) => leader?.value === "second", "the leader is seen");
      assert.equal(seen?.token, second.token);
    },
  },
];
