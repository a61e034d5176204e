import assert from "node:assert/strict";
import { SerializationError } from "../../../mod.ts";
import { iterate, next } from "../reading.ts";
import type { Case } from "../suite.ts";
import { failure } from "../waiting.ts";

const odd =
  "é 日本語 😀 \u0000 \u0001 \u001f \u007f \u2028 \u2029 \ufeff \ufffd \\ \" ' ` </script> %00 \r\n\t";

/** What JSON keeps, and what drivers may stumble over. */
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1.5e-7,
  Number.MAX_SAFE_INTEGER,
  "",
  odd,
  "\ud83d half of a pair \ude00",
  [],
  [[], [null, [1, "2", { three: 3 }]]],
  { "": "", [odd]: odd, "0": 0, "__proto": 1 },
  JSON.parse('{"__proto__": {"polluted": true}, "constructor": null}'),
  "x".repeat(100_000),
  { list: Array.from({ length: 2_000 }, (_, i) => ({ i, odd, text: "é".repeat(10) })) },
];

export const capabilities: readonly Case[] = [
  {
    name: "capabilities come back as they were given: any JSON, odd Unicode, 100 kB",
    holds: ["G14"],
    smoke: true,
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open({ ttl: 30_000 }), await stage.open({ ttl: 30_000 })];
      await one.group(id).create();
      for (const value of VALUES) {
        const joined = await one.group(id).join(value);
        const seen = (await two.group(id).member(one.memberId)).capabilities;
        assert.equal(JSON.stringify(seen), JSON.stringify(value));
        await joined.leave();
      }
      await one.group(id).join();
      await using watch = await two.group(id).watch();
      const events = iterate(watch);
      for (const value of VALUES) {
        await one.group(id).update(value);
        const event = await next(events, "the update is seen");
        assert.ok(event.type === "updated");
        assert.equal(JSON.stringify(event.member.capabilities), JSON.stringify(value));
      }
    },
  },
  {
    name: "capabilities that JSON would change are a SerializationError, and change nothing",
    holds: ["G15"],
    async run(stage) {
      const coord = await stage.open();
      const group = coord.group(stage.name("group"));
      await group.create();
      const wrong = [NaN, -0, 1n, new Date(), new Map(), { a: undefined }, [() => {}], Symbol("s")];
      for (const value of wrong) {
        const error = await failure(group.join(value));
        assert.ok(error instanceof SerializationError, String(error));
        assert.deepEqual([error.code, error.driver], ["SERIALIZATION", stage.driver]);
      }
      assert.equal((await group.members()).size, 0);
      const joined = await group.join({ good: 1 });
      for (const value of [...wrong, undefined]) {
        await assert.rejects(group.update(value), SerializationError);
        await assert.rejects(joined.update(value), SerializationError);
      }
      assert.deepEqual((await group.member(coord.memberId)).capabilities, { good: 1 });
    },
  },
  {
    name: "a group has 200 members, each with its own capabilities",
    holds: ["G7", "W5"],
    alone: true,
    async run(stage) {
      const id = stage.name("group");
      const observer = await stage.open({ ttl: 60_000 });
      await observer.group(id).create();
      await using watch = await observer.group<number>(id).watch();
      const coords = await Promise.all(Array.from({ length: 200 }, () => stage.open({ ttl: 60_000 })));
      const joined = await Promise.all(coords.map((coord, i) => coord.group<number>(id).join(i)));
      const members = await observer.group<number>(id).members();
      assert.equal(members.size, 200);
      for (const [i, coord] of coords.entries()) assert.equal(members.get(coord.memberId)?.capabilities, i);
      const events = iterate(watch);
      while (watch.members.size < 200) await next(events, "all have been seen to join");
      assert.deepEqual(new Set(watch.members.keys()), new Set(members.keys()));
      await Promise.all(joined.map((membership) => membership.leave()));
      while (watch.members.size > 0) await next(events, "all have been seen to leave");
      assert.equal((await observer.group(id).members()).size, 0);
    },
  },
];
