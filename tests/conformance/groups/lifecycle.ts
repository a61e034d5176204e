import assert from "node:assert/strict";
import { GroupAlreadyExistError, GroupNotCreatedError, GroupNotEmptyError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { failure } from "../waiting.ts";

export const lifecycle: readonly Case[] = [
  {
    name: "create() makes a group that all see, delete() removes it",
    holds: ["G1", "G2", "G3"],
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open(), await stage.open()];
      await one.group(id).create();
      assert.deepEqual(await two.groups(), [id]);
      assert.equal((await two.group(id).members()).size, 0);
      await assert.rejects(two.group(id).create(), GroupAlreadyExistError);
      await two.group(id).delete();
      assert.deepEqual(await one.groups(), []);
      await assert.rejects(one.group(id).members(), GroupNotCreatedError);
      await one.group(id).create();
      assert.deepEqual(await two.groups(), [id]);
    },
  },
  {
    name: "a group that was not created is GroupNotCreatedError, in every call",
    holds: ["G3", "G4", "G5", "G6", "G7", "G8", "W1"],
    async run(stage) {
      const coord = await stage.open();
      const group = coord.group(stage.name("group"));
      const calls = {
        delete: () => group.delete(),
        join: () => group.join(),
        replace: () => group.join({}, { replace: true }),
        leave: () => group.leave(),
        update: () => group.update({}),
        members: () => group.members(),
        member: () => group.member("anyone"),
        watch: () => group.watch(),
      };
      for (const [what, call] of Object.entries(calls)) {
        const error = await failure(call());
        assert.ok(error instanceof GroupNotCreatedError, `${what}: ${error}`);
        assert.deepEqual([error.code, error.driver], ["GROUP_NOT_CREATED", stage.driver]);
      }
      assert.deepEqual(await coord.groups(), []);
    },
  },
  {
    name: "delete() refuses a group that has members",
    holds: ["G3"],
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open(), await stage.open()];
      const membership = await one.group(id).join({}, { create: true });
      await assert.rejects(two.group(id).delete(), GroupNotEmptyError);
      await assert.rejects(one.group(id).delete(), GroupNotEmptyError);
      assert.equal(membership.signal.aborted, false);
      assert.equal((await two.group(id).members()).size, 1);
      await membership.leave();
      await two.group(id).delete();
      assert.deepEqual(await one.groups(), []);
    },
  },
  {
    name: "create() by many at once succeeds for one",
    holds: ["G2"],
    async run(stage) {
      const id = stage.name("group");
      const coords = await Promise.all(Array.from({ length: 5 }, () => stage.open()));
      const errors = await Promise.all(coords.map((coord) => failure(coord.group(id).create())));
      assert.equal(errors.filter((error) => error === undefined).length, 1);
      assert.equal(errors.filter((error) => error instanceof GroupAlreadyExistError).length, 4);
    },
  },
  {
    name: "join() with create makes the group, also for many at once",
    holds: ["G4"],
    async run(stage) {
      const id = stage.name("group");
      const coords = await Promise.all(Array.from({ length: 6 }, () => stage.open()));
      await Promise.all(coords.map((coord) => coord.group(id).join({}, { create: true })));
      const members = await coords[0]?.group(id).members();
      assert.deepEqual([...members?.keys() ?? []].sort(), coords.map(({ memberId }) => memberId).sort());
    },
  },
  {
    name: "join() with create and delete() at the same time: nobody ends up in a group that is gone",
    holds: ["G3", "G4"],
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open({ ttl: 20_000 }), await stage.open({ ttl: 20_000 })];
      for (let round = 0; round < 15; round++) {
        const joining = one.group(id).join({ round }, { create: true });
        const deleting = failure(two.group(id).delete());
        const membership = await joining;
        const error = await deleting;
        assert.ok(
          error === undefined || error instanceof GroupNotEmptyError || error instanceof GroupNotCreatedError,
          String(error),
        );
        assert.deepEqual([...(await two.group(id).members()).keys()], [one.memberId]);
        assert.equal(await membership.leave(), true);
      }
    },
  },
  {
    name: "groups() lists exactly the groups of its namespace",
    holds: ["G1", "C9"],
    async run(stage) {
      const [one, other] = [
        await stage.open(),
        await stage.open({ namespace: `${stage.namespace}-other` }),
      ];
      const ids = Array.from({ length: 12 }, (_, i) => stage.name(`group-${i}`));
      await Promise.all(ids.map((id) => one.group(id).create()));
      await other.group(ids[0] ?? "").create();
      assert.deepEqual((await one.groups()).sort(), [...ids].sort());
      assert.deepEqual(await other.groups(), ids.slice(0, 1));
      await Promise.all(ids.slice(1).map((id) => one.group(id).delete()));
      assert.deepEqual(await one.groups(), ids.slice(0, 1));
    },
  },
];
