import assert from "node:assert/strict";
import type { Case } from "../suite.ts";
import { failure, within } from "../waiting.ts";

export const calls: readonly Case[] = [
  {
    name: "calls of one coordinator on one group take effect in their order, awaited or not",
    holds: ["G21"],
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open({ ttl: 30_000 }), await stage.open()];
      const group = one.group<number>(id);
      const made = [
        group.create(),
        group.join(0),
        ...Array.from({ length: 20 }, (_, i) => group.update(i + 1)),
        group.leave(),
        group.delete(),
        group.create(),
        group.join(100),
        ...Array.from({ length: 20 }, (_, i) => one.group<number>(id).update(101 + i)),
      ];
      const members = group.members();
      await within(Promise.all(made), "all calls have succeeded");
      assert.equal((await members).get(one.memberId)?.capabilities, 120);
      assert.equal((await two.group(id).member(one.memberId)).capabilities, 120);
    },
  },
  {
    name: "watch() comes after the calls that were made before it",
    holds: ["G21", "W4"],
    async run(stage) {
      const coord = await stage.open();
      const group = coord.group<number>(stage.name("group"));
      const before = [group.create(), group.join(1), group.update(2)];
      const watch = await group.watch();
      await Promise.all(before);
      assert.equal(watch.members.get(coord.memberId)?.capabilities, 2);
    },
  },
  {
    name: "a call that fails does not stop those after it",
    holds: ["G21"],
    async run(stage) {
      const coord = await stage.open();
      const group = coord.group<number>(stage.name("group"));
      const errors = Promise.all([
        failure(group.leave()),
        failure(group.create()),
        failure(group.create()),
        failure(group.join(1)),
        failure(group.join(2)),
        failure(group.update(3)),
      ]);
      assert.deepEqual((await errors).map((error) => error === undefined), [
        false,
        true,
        false,
        true,
        false,
        true,
      ]);
      assert.equal((await group.member(coord.memberId)).capabilities, 3);
    },
  },
  {
    name: "join() with a signal that has aborted rejects with its reason, and does not join",
    holds: ["R4", "G4"],
    async run(stage) {
      const coord = await stage.open();
      const group = coord.group(stage.name("group"));
      await group.create();
      const reason = { why: "enough" };
      assert.equal(await failure(group.join({}, { signal: AbortSignal.abort(reason) })), reason);
      assert.equal((await group.members()).size, 0);
    },
  },
  {
    name: "join() that is aborted under way leaves no member",
    holds: ["R4", "G4"],
    async run(stage) {
      const [one, two] = [await stage.open({ ttl: 30_000 }), await stage.open()];
      const id = stage.name("group");
      await one.group(id).create();
      for (let turns = 0; turns < 10; turns++) {
        const controller = new AbortController();
        const failed = failure(one.group(id).join({}, { signal: controller.signal }));
        for (let i = 0; i < turns; i++) await Promise.resolve();
        controller.abort("enough");
        const error = await within(failed, "the join has settled");
        // It may have been quicker.
        if (error === undefined) await one.group(id).leave();
        else assert.equal(error, "enough");
        await stage.eventually(async () => (await two.group(id).members()).size === 0);
      }
      const joined = await one.group(id).join();
      assert.equal(await joined.leave(), true);
    },
  },
];
