import assert from "node:assert/strict";
import { iterate, next, until, viewed, word } from "../reading.ts";
import type { Case } from "../suite.ts";
import { elapse } from "../waiting.ts";

/** Time in which a watch that polls would have asked, in ms. */
const QUIET = 2_000;

/** How long a connection is silent once it has nothing more to say, in ms. */
const SETTLED = 300;

export const changes: readonly Case[] = [
  {
    name: "watch() starts from a snapshot and reports what follows; the view is that after the last event",
    holds: ["W2", "W3", "W4"],
    smoke: true,
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open(), await stage.open()];
      const joined = await one.group<{ n: number }>(id).join({ n: 1 }, { create: true });
      await using watch = await two.group<{ n: number }>(id).watch();
      const events = iterate(watch);
      assert.deepEqual([...watch.members.keys()], [one.memberId]);
      assert.equal(watch.members.get(one.memberId)?.capabilities.n, 1);
      assert.equal(watch.fresh, true);

      await two.group(id).join({ n: 5 });
      const first = await next(events, "the join is seen");
      assert.equal(word(first), `joined ${two.memberId}`);
      assert.equal(watch.members.size, 2);

      await joined.update({ n: 2 });
      const second = await next(events, "the update is seen");
      assert.equal(word(second), `updated ${one.memberId}`);
      assert.deepEqual(second.type === "updated" && second.member.capabilities, { n: 2 });
      assert.equal(watch.members.get(one.memberId)?.capabilities.n, 2);

      await joined.leave();
      assert.equal(word(await next(events, "the leaving is seen")), `left ${one.memberId}`);
      assert.deepEqual([...watch.members.keys()], [two.memberId]);
    },
  },
  {
    name: "watch() loses nothing between its snapshot and its first event",
    holds: ["W4", "W5"],
    async run(stage) {
      const [observer, ...others] = await Promise.all(
        Array.from({ length: 9 }, () => stage.open({ ttl: 30_000 })),
      );
      assert.ok(observer);
      for (let round = 0; round < 8; round++) {
        const id = stage.name("group");
        await observer.group(id).create();
        const joining = others.map(async (coord, i) => {
          for (let turns = 0; turns < i * round; turns++) await Promise.resolve();
          await coord.group(id).join(round);
        });
        await using watch = await observer.group(id).watch();
        await Promise.all(joining);
        await viewed(watch, iterate(watch), ({ size }) => size === others.length, "all joins are seen");
        assert.deepEqual(new Set(watch.members.keys()), new Set(others.map(({ memberId }) => memberId)));
      }
    },
  },
  {
    name: "a member that was replaced is reported left, then joined",
    holds: ["W6"],
    async run(stage) {
      const [id, memberId] = [stage.name("group"), stage.name("member")];
      const [one, two, observer] = [
        await stage.open({ memberId }),
        await stage.open({ memberId }),
        await stage.open(),
      ];
      await one.group<number>(id).join(1, { create: true });
      await using watch = await observer.group<number>(id).watch();
      const events = iterate(watch);
      await two.group<number>(id).join(2, { replace: true });
      const [left, joined] = [await next(events, "it left"), await next(events, "it joined")];
      assert.deepEqual([word(left), word(joined)], [`left ${memberId}`, `joined ${memberId}`]);
      assert.deepEqual(left.type === "left" && left.member.capabilities, 1);
      assert.deepEqual(joined.type === "joined" && joined.member.capabilities, 2);
    },
  },
  {
    name: "a replacement by the same capabilities is reported too",
    holds: ["W6"],
    async run(stage) {
      const id = stage.name("group");
      const [one, observer] = [await stage.open(), await stage.open()];
      const group = one.group(id);
      await group.join({ same: true }, { create: true });
      await using watch = await observer.group(id).watch();
      const events = iterate(watch);
      await group.join({ same: true }, { replace: true });
      assert.equal(word(await next(events, "it left")), `left ${one.memberId}`);
      assert.equal(word(await next(events, "it joined")), `joined ${one.memberId}`);
    },
  },
  {
    name: "a slow consumer blocks nobody, and events of one member coalesce",
    holds: ["W8"],
    async run(stage) {
      const id = stage.name("group");
      const [one, two, observer] = [
        await stage.open({ ttl: 30_000 }),
        await stage.open({ ttl: 30_000 }),
        await stage.open({ ttl: 30_000 }),
      ];
      const joined = await one.group<number>(id).join(0, { create: true });
      await using slow = await observer.group<number>(id).watch();
      await using quick = await two.group<number>(id).watch();
      const quickly = iterate(quick);
      for (let i = 1; i <= 150; i++) await joined.update(i);
      await two.group<number>(id).join(0);
      await two.group(id).leave();
      await two.group<number>(id).join(7);
      await viewed(
        quick,
        quickly,
        (members) =>
          members.get(one.memberId)?.capabilities === 150 && members.get(two.memberId)?.capabilities === 7,
        "another watch of the group has seen all",
      );
      const events = iterate(slow);
      const words: string[] = [];
      await viewed(
        slow,
        {
          next: async () => {
            const result = await events.next();
            if (!result.done) words.push(word(result.value));
            return result;
          },
        },
        (members) => members.get(one.memberId)?.capabilities === 150 && members.has(two.memberId),
        "it catches up",
      );
      assert.ok(words.length <= 6, words.join());
    },
  },
  {
    name: "two watchers agree once they have heard of the last change",
    holds: ["W5"],
    async run(stage) {
      const id = stage.name("group");
      const coords = await Promise.all(Array.from({ length: 5 }, () => stage.open({ ttl: 30_000 })));
      const [observer, second] = coords;
      assert.ok(observer && second);
      await observer.group(id).create();
      await using one = await observer.group<number>(id).watch();
      await using two = await second.group<number>(id).watch();
      await Promise.all(coords.map(async (coord, i) => {
        const group = coord.group<number>(id);
        for (let round = 0; round < 6; round++) {
          const joined = await group.join(round);
          await joined.update(100 + round);
          if (round < 5 || i % 2 === 0) await joined.leave();
        }
        if (i % 2 === 0) await group.join(1_000 + i);
      }));
      const members = await observer.group<number>(id).members();
      const expected = JSON.stringify(
        [...members].map(([key, { capabilities }]) => [key, capabilities]).sort(),
      );
      for (const watch of [one, two]) {
        await viewed(
          watch,
          iterate(watch),
          (view) =>
            JSON.stringify([...view].map(([key, { capabilities }]) => [key, capabilities]).sort()) ===
              expected,
          `the view has become ${expected}`,
        );
      }
    },
  },
  {
    name: "a watch that waits asks the backend nothing: it is woken",
    holds: ["W7", "X12"],
    needs: ["proxy", "PUSHED_WATCHES"],
    async run(stage) {
      const id = stage.name("group");
      const through = await stage.proxied();
      // Long ones: where members expire, their watchers look when one may have.
      const [one, observer] = [await stage.open({ ttl: 60_000 }), await through.open({ ttl: 60_000 })];
      await one.group(id).create();
      await using watch = await observer.group(id).watch();
      await using leaders = await observer.election(id).watch();
      const [events, leaderships] = [iterate(watch), iterate(leaders)];
      const first = [next(events, "the join is seen"), next(leaderships, "the election is seen")];
      await one.group(id).join();
      await one.election(id).campaign();
      await Promise.all(first);
      await observer.heartbeat();
      const count = () => through.proxy.traffic.requestChunks;
      // The protocol itself may have something to confirm after an answer.
      await stage.eventually(async () => count() === (await elapse(SETTLED), count()));
      const before = count();
      await elapse(QUIET);
      assert.equal(count(), before);
      await one.group(id).leave();
      await until(events, (event) => event.type === "left", "the leaving is seen");
    },
  },
];
