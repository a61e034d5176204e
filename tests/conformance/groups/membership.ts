import assert from "node:assert/strict";
import {
  ClosedError,
  ConnectionError,
  GroupNotCreatedError,
  MemberAlreadyExistError,
  MemberNotJoinedError,
  type Membership,
  SessionLostError,
} from "../../../mod.ts";
import type { Opener } from "../../../driver.ts";
import type { Case, Stage } from "../suite.ts";
import { aborted, elapse, failure, within } from "../waiting.ts";
import { withSessions } from "../wrapping.ts";

/** Keeps the end of sessions from the backend until the case is over: as if the network had swallowed it. */
function mute(stage: Stage): (opener: Opener) => Opener {
  return (opener) =>
    withSessions(opener, (session) => {
      stage.defer(() => session.close());
      return { close: () => Promise.resolve(), abandon: () => {} };
    });
}

export const membership: readonly Case[] = [
  {
    name: "join() makes a member that all see, with its capabilities and times",
    holds: ["G4", "G7", "G8", "G10"],
    smoke: true,
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open(), await stage.open()];
      await one.group(id).create();
      const joined = await one.group(id).join({ cores: 8 });
      assert.equal(joined.group, id);
      assert.equal(joined.signal.aborted, false);
      const member = await two.group(id).member(one.memberId);
      assert.deepEqual([member.id, member.capabilities], [one.memberId, { cores: 8 }]);
      assert.ok(member.joinedAt instanceof Date && !Number.isNaN(member.joinedAt.getTime()));
      assert.deepEqual(member.joinedAt, member.updatedAt);
      assert.ok(Math.abs(member.joinedAt.getTime() - Date.now()) < 60_000, "the clocks of one machine");
      assert.deepEqual((await two.group(id).members()).get(one.memberId), member);
    },
  },
  {
    name: "join() without capabilities has none: {}",
    holds: ["G16"],
    async run(stage) {
      const id = stage.name("group");
      const coord = await stage.open();
      await coord.group(id).join(undefined, { create: true });
      assert.deepEqual((await coord.group(id).member(coord.memberId)).capabilities, {});
    },
  },
  {
    name: "update() replaces the capabilities, by membership and by group, and keeps joinedAt",
    holds: ["G6", "G9", "G10", "G12"],
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open(), await stage.open()];
      const group = one.group<{ n: number }>(id);
      const joined = await group.join({ n: 1 }, { create: true });
      const first = await group.member(one.memberId);
      await joined.update({ n: 2 });
      const second = await two.group(id).member(one.memberId);
      assert.deepEqual(second.capabilities, { n: 2 });
      await group.update({ n: 3 });
      const third = await two.group(id).member(one.memberId);
      assert.deepEqual(third.capabilities, { n: 3 });
      assert.deepEqual([second.joinedAt, third.joinedAt], [first.joinedAt, first.joinedAt]);
      assert.ok(first.updatedAt <= second.updatedAt && second.updatedAt <= third.updatedAt);
      assert.equal(joined.signal.aborted, false);
    },
  },
  {
    name: "a clock that is set back makes no update older than what it updates",
    holds: ["G10"],
    alone: true, // All of the process see the clock.
    async run(stage) {
      const one = await stage.open();
      const group = one.group<{ n: number }>(stage.name("group"));
      await group.join({ n: 1 }, { create: true });
      const { joinedAt } = await group.member(one.memberId);
      const { now } = Date;
      Date.now = () => now() - 1_000_000;
      try {
        await group.update({ n: 2 });
      } finally {
        Date.now = now;
      }
      const member = await group.member(one.memberId);
      assert.deepEqual(member.capabilities, { n: 2 });
      assert.ok(
        member.updatedAt >= joinedAt,
        `${member.updatedAt.toISOString()} < ${joinedAt.toISOString()}`,
      );
    },
  },
  {
    name: "leave() removes the member, once, and fires no signal",
    holds: ["G11", "G12", "G13"],
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open(), await stage.open()];
      const joined = await one.group(id).join({}, { create: true });
      assert.equal(await joined.leave(), true);
      assert.equal((await two.group(id).members()).size, 0);
      assert.equal(await joined.leave(), false);
      await assert.rejects(joined.update({}), MemberNotJoinedError);
      await one.heartbeat();
      assert.equal(joined.signal.aborted, false);
    },
  },
  {
    name: "a membership's disposal leaves, and fires no signal",
    holds: ["G11"],
    async run(stage) {
      const id = stage.name("group");
      const coord = await stage.open();
      let signal: AbortSignal;
      {
        await using joined = await coord.group(id).join({}, { create: true });
        signal = joined.signal;
      }
      assert.equal((await coord.group(id).members()).size, 0);
      assert.equal(signal.aborted, false);
    },
  },
  {
    name: "a member that has not joined is MemberNotJoinedError, in every call",
    holds: ["G5", "G6", "G8"],
    async run(stage) {
      const coord = await stage.open();
      const group = coord.group(stage.name("group"));
      await group.create();
      for (const call of [() => group.leave(), () => group.update({}), () => group.member(coord.memberId)]) {
        const error = await failure(call());
        assert.ok(error instanceof MemberNotJoinedError, String(error));
        assert.deepEqual([error.code, error.driver], ["MEMBER_NOT_JOINED", stage.driver]);
      }
    },
  },
  {
    name: "join() of an id that is taken is MemberAlreadyExistError, and changes nothing",
    holds: ["G4", "G17"],
    async run(stage) {
      const [id, memberId] = [stage.name("group"), stage.name("member")];
      const [one, two] = [await stage.open({ memberId }), await stage.open({ memberId })];
      const joined = await one.group(id).join({ by: "one" }, { create: true });
      await assert.rejects(two.group(id).join({ by: "two" }), MemberAlreadyExistError);
      await assert.rejects(one.group(id).join({ by: "one again" }), MemberAlreadyExistError);
      assert.deepEqual((await two.group(id).member(memberId)).capabilities, { by: "one" });
      await one.heartbeat();
      assert.equal(joined.signal.aborted, false);
    },
  },
  {
    name: "join() with replace takes over the id, and the former membership's signal fires",
    holds: ["G11", "G12", "G13", "G17"],
    smoke: true,
    async run(stage) {
      const [id, memberId] = [stage.name("group"), stage.name("member")];
      const [one, two] = [await stage.open({ memberId }), await stage.open({ memberId })];
      const former = await one.group(id).join({ by: "one" }, { create: true });
      const present = await two.group(id).join({ by: "two" }, { replace: true });
      const reason = await aborted(former.signal, "the former membership's signal fires");
      assert.ok(reason instanceof MemberNotJoinedError, String(reason));
      assert.deepEqual((await one.group(id).member(memberId)).capabilities, { by: "two" });
      assert.equal(await former.leave(), false, "it removes no successor");
      await assert.rejects(former.update({ by: "one" }), MemberNotJoinedError);
      assert.deepEqual((await one.group(id).member(memberId)).capabilities, { by: "two" });
      assert.equal(present.signal.aborted, false);
      assert.equal(await present.leave(), true);
    },
  },
  {
    name: "join() with replace takes over from oneself too",
    holds: ["G17", "G13"],
    async run(stage) {
      const id = stage.name("group");
      const coord = await stage.open();
      const former = await coord.group(id).join({ n: 1 }, { create: true });
      const present = await coord.group(id).join({ n: 2 }, { replace: true });
      await aborted(former.signal);
      assert.equal(await former.leave(), false);
      assert.deepEqual((await coord.group(id).member(coord.memberId)).capabilities, { n: 2 });
      assert.equal(present.signal.aborted, false);
      assert.equal(await present.leave(), true);
    },
  },
  {
    name: "leave() at the moment of a replacement never removes the successor",
    holds: ["G13", "G17"],
    async run(stage) {
      const [id, memberId] = [stage.name("group"), stage.name("member")];
      const [one, two] = [
        await stage.open({ memberId, ttl: 20_000 }),
        await stage.open({ memberId, ttl: 20_000 }),
      ];
      let [holder, taker] = [one, two];
      let former = await holder.group(id).join({}, { create: true });
      for (let round = 0; round < 15; round++) {
        const [present] = await Promise.all([
          taker.group(id).join({ round }, { replace: true }),
          former.leave(),
        ]);
        assert.deepEqual((await holder.group(id).member(memberId)).capabilities, { round });
        former = present;
        [holder, taker] = [taker, holder];
      }
      assert.equal(await former.leave(), true);
    },
  },
  {
    name: "a coordinator replaces its own earlier incarnation when its session was lost",
    holds: ["G18", "S6", "S7", "G11"],
    async run(stage) {
      const id = stage.name("group");
      const other = await stage.open();
      const coord = await stage.open({ heartbeat: "manual" });
      const former = await coord.group(id).join({ n: 1 }, { create: true });
      const { signal } = coord.session;
      await aborted(former.signal, "the membership is lost with its session");
      assert.equal(signal.aborted, true);
      const present = await stage.eventually(() => coord.group(id).join({ n: 2 }));
      assert.deepEqual((await other.group(id).member(coord.memberId)).capabilities, { n: 2 });
      assert.equal(await former.leave(), false);
      assert.equal((await other.group(id).members()).size, 1);
      assert.equal(present.signal.aborted, false);
    },
  },
  {
    name: "a coordinator replaces its own earlier incarnation that the backend still takes for alive",
    holds: ["G18"],
    async run(stage) {
      const id = stage.name("group");
      const other = await stage.open();
      const coord = await stage.open({ ttl: 20_000, margin: 19_500, heartbeat: "manual", wrap: mute(stage) });
      const former = await coord.group(id).join({ n: 1 }, { create: true });
      await aborted(former.signal, "the membership is lost with its session");
      assert.equal((await other.group(id).members()).size, 1, "the backend has heard of nothing");
      await coord.group(id).join({ n: 2 });
      assert.deepEqual((await other.group(id).member(coord.memberId)).capabilities, { n: 2 });
    },
  },
  {
    name: "group.leave() evicts a member of the same id, whoever joined it",
    holds: ["G5", "G11", "G19"],
    async run(stage) {
      const [id, memberId] = [stage.name("group"), stage.name("member")];
      const worker = await stage.open({ memberId });
      const joined = await worker.group(id).join({ by: "worker" }, { create: true });
      const operator = await stage.open({ memberId });
      await operator.group(id).leave();
      assert.equal((await operator.group(id).members()).size, 0);
      const reason = await aborted(joined.signal, "the evicted member's signal fires");
      assert.ok(reason instanceof MemberNotJoinedError, String(reason));
      assert.equal(await joined.leave(), false);
      await assert.rejects(operator.group(id).leave(), MemberNotJoinedError);
      const again = await operator.group(id).join({ by: "operator" });
      assert.equal(await joined.leave(), false, "it removes no successor");
      assert.equal((await worker.group(id).members()).size, 1);
      assert.equal(again.signal.aborted, false);
    },
  },
  {
    name: "a member that was evicted can join again at once, told of it or not",
    holds: ["G11", "G17", "G19"],
    async run(stage) {
      const [id, memberId] = [stage.name("group"), stage.name("member")];
      const [worker, operator] = [await stage.open({ memberId }), await stage.open({ memberId })];
      let former = await worker.group(id).join({ round: 0 }, { create: true });
      for (let round = 1; round <= 5; round++) {
        await operator.group(id).leave();
        const present = await worker.group(id).join({ round });
        assert.ok(former.signal.reason instanceof MemberNotJoinedError, String(former.signal.reason));
        assert.deepEqual((await operator.group(id).member(memberId)).capabilities, { round });
        assert.equal(await former.leave(), false);
        assert.equal(present.signal.aborted, false);
        former = present;
      }
      await operator.group(id).leave();
      await operator.group(id).delete();
      await assert.rejects(worker.group(id).join(), GroupNotCreatedError);
    },
  },
  {
    name: "an evicted member's next call fires its signal, where nobody had told",
    holds: ["G11", "G12", "G13"],
    async run(stage) {
      const [id, memberId] = [stage.name("group"), stage.name("member")];
      const [worker, operator] = [await stage.open({ memberId }), await stage.open({ memberId })];
      const group = worker.group(id);
      const calls = [
        async (joined: Membership<unknown>) => assert.equal(await joined.leave(), false),
        (joined: Membership<unknown>) => assert.rejects(joined.update({}), MemberNotJoinedError),
        () => assert.rejects(group.leave(), MemberNotJoinedError),
      ];
      for (const call of calls) {
        const joined = await group.join({}, { create: true });
        await operator.group(id).leave();
        await call(joined);
        assert.ok(joined.signal.reason instanceof MemberNotJoinedError, String(joined.signal.reason));
      }
    },
  },
  {
    name: "group.leave() of one's own membership fires no signal",
    holds: ["G5", "G11"],
    async run(stage) {
      const coord = await stage.open();
      const group = coord.group(stage.name("group"));
      const joined = await group.join({}, { create: true });
      await group.leave();
      await coord.heartbeat();
      assert.equal(joined.signal.aborted, false);
      assert.equal(await joined.leave(), false);
      const again = await group.join();
      assert.equal(again.signal.aborted, false);
    },
  },
  {
    name: "group.leave() at the moment of an eviction: the member hears of it, and can join again",
    holds: ["G5", "G11", "G19"],
    async run(stage) {
      const id = stage.name("group");
      const [memberId, ttl] = [stage.name("member"), 60_000];
      const [one, two] = [await stage.open({ memberId, ttl }), await stage.open({ memberId, ttl })];
      for (let i = 0; i < 10; i++) {
        const joined = await one.group(id).join({}, { create: true });
        const leaving = [two.group(id).leave(), one.group(id).leave()];
        const [evicted, left] = await Promise.all(leaving.map(failure));
        for (const error of [evicted, left]) {
          assert.ok(error === undefined || error instanceof MemberNotJoinedError, String(error));
        }
        assert.equal(joined.signal.aborted, left !== undefined, "only its own leaving is no loss");
      }
      assert.equal((await one.group(id).join()).signal.aborted, false);
    },
  },
  {
    name: "group.leave() that is cut short by the loss of the session fires the membership's signal",
    holds: ["G11"],
    async run(stage) {
      const one = await stage.open({
        heartbeat: "manual",
        wrap: (opener) =>
          withSessions(opener, ({ groups }) => ({
            groups: {
              list: () => groups.list(),
              create: (id) => groups.create(id),
              delete: (id) => groups.delete(id),
              join: (id, joining) => groups.join(id, joining),
              update: (...parts) => groups.update(...parts),
              remove: () => elapse(2_500).then(() => Promise.reject(new SessionLostError("Cannot leave"))),
              members: (id) => groups.members(id),
              watch: (id, signal) => groups.watch(id, signal),
            },
          })),
      });
      const group = one.group(stage.name("group"));
      const joined = await group.join({}, { create: true });
      const left = failure(group.leave());
      assert.ok(await within(left, "the call ends") instanceof ConnectionError, "its outcome is unknown");
      await aborted(joined.signal);
    },
  },
  {
    name: "close() ends memberships: their signals fire, and the members are gone",
    holds: ["S12", "S13"],
    smoke: true,
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open(), await stage.open()];
      const joined = await one.group(id).join({}, { create: true });
      await one.close();
      assert.ok(joined.signal.reason instanceof ClosedError, String(joined.signal.reason));
      assert.equal((await two.group(id).members()).size, 0);
    },
  },
];
