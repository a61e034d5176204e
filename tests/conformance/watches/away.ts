import assert from "node:assert/strict";
import type { Opener } from "../../../driver.ts";
import { ConnectionError } from "../../../mod.ts";
import { iterate, next, until, word } from "../reading.ts";
import type { Case } from "../suite.ts";
import { aborted, within } from "../waiting.ts";
import { withSessions } from "../wrapping.ts";

export const away: readonly Case[] = [
  {
    name: "a watch survives a reconnect and reports what changed meanwhile",
    holds: ["W9", "W3", "E15", "S10", "S2"],
    needs: ["proxy"],
    async run(stage) {
      const id = stage.name("group");
      const through = await stage.proxied();
      const one = await stage.open({ ttl: 30_000 });
      const observer = await through.open({ ttl: 15_000 });
      const former = await one.group(id).join({ n: 1 }, { create: true });
      await using watch = await observer.group(id).watch();
      await using leaders = await observer.election(id).watch();
      const [events, leaderships] = [iterate(watch), iterate(leaders)];
      const { signal } = observer.session;
      through.interrupt(() => through.proxy.refuse());
      await stage.eventually(() => !watch.fresh && !leaders.fresh);
      assert.equal(observer.state, "suspended");
      await former.update({ n: 2 });
      const leadership = await one.election(id).campaign({ value: "one" });
      through.heal();
      const event = await next(events, "the update is seen");
      assert.equal(word(event), `updated ${one.memberId}`);
      assert.deepEqual(watch.members.get(one.memberId)?.capabilities, { n: 2 });
      assert.equal((await next(leaderships, "the leader is seen"))?.token, leadership.token);
      await stage.eventually(() => watch.fresh && leaders.fresh);
      assert.equal(observer.state, "connected");
      assert.equal(signal.aborted, false, "the session has lived through it");
      await former.leave();
      await until(events, (found) => word(found) === `left ${one.memberId}`, "the leaving is seen");
    },
  },
  {
    name: "a watch survives a cut connection that the server alone closed, again and again",
    holds: ["W9"],
    needs: ["proxy"],
    async run(stage) {
      const id = stage.name("group");
      const through = await stage.proxied();
      const one = await stage.open({ ttl: 30_000 });
      const observer = await through.open({ ttl: 30_000 });
      await one.group<number>(id).join(0, { create: true });
      await using watch = await observer.group<number>(id).watch();
      const events = iterate(watch);
      for (let i = 1; i <= 5; i++) {
        through.proxy.cut();
        await one.group<number>(id).update(i);
        const seen = await until(
          events,
          (event) => event.type === "updated" && event.member.capabilities === i,
          `update ${i} is seen`,
        );
        assert.equal(word(seen), `updated ${one.memberId}`);
      }
    },
  },
  {
    name: "a watch is not fresh while its member is cut off, and reports what changed meanwhile",
    holds: ["W3", "W9", "E15"],
    needs: ["line"],
    async run(stage) {
      const id = stage.name("group");
      const line = await stage.line();
      const [one, observer] = [await stage.open({ ttl: 30_000 }), await line.open()];
      await one.group(id).create();
      await using watch = await observer.group(id).watch();
      await using leaders = await observer.election(id).watch();
      const [events, leaderships] = [iterate(watch), iterate(leaders)];
      assert.deepEqual([watch.fresh, leaders.fresh], [true, true]);
      line.sever();
      await stage.eventually(() => !watch.fresh && !leaders.fresh);
      await one.group(id).join();
      await one.election(id).campaign({ value: "one" });
      assert.deepEqual([watch.members.size, leaders.leader], [0, undefined]);
      line.heal();
      assert.equal(word(await next(events, "the join is seen")), `joined ${one.memberId}`);
      assert.equal((await next(leaderships, "the leader is seen"))?.value, "one");
      await stage.eventually(() => watch.fresh && leaders.fresh);
    },
  },
  {
    name: "a watch survives the loss of its session and reports what changed meanwhile",
    holds: ["W9", "S6"],
    async run(stage) {
      const id = stage.name("group");
      const one = await stage.open();
      const observer = await stage.open({ heartbeat: "manual" });
      const former = await one.group(id).join({ n: 1 }, { create: true });
      await using watch = await observer.group(id).watch();
      const events = iterate(watch);
      await aborted(observer.session.signal, "the session is lost");
      await former.update({ n: 2 });
      const event = await next(events, "the update is seen");
      assert.equal(word(event), `updated ${one.memberId}`);
      await former.leave();
      assert.equal(word(await next(events, "the leaving is seen")), `left ${one.memberId}`);
    },
  },
  {
    name: "a watch whose group was deleted while it was away says so and ends",
    holds: ["W9", "W10"],
    async run(stage) {
      const id = stage.name("group");
      const one = await stage.open();
      const observer = await stage.open({ heartbeat: "manual" });
      await one.group(id).create();
      await using watch = await observer.group(id).watch();
      const deleted = aborted(observer.session.signal).then(() => one.group(id).delete());
      const words = (await Array.fromAsync(watch)).map(word);
      assert.deepEqual(words, ["deleted"]);
      await deleted;
    },
  },
  {
    name: "a watch whose group was deleted and made anew while it was away says so and ends",
    holds: ["W9", "W10"],
    async run(stage) {
      const id = stage.name("group");
      const one = await stage.open();
      let isAway = false;
      // No session can be opened while it is away.
      const observer = await stage.open({
        heartbeat: "manual",
        wrap: (opener): Opener => ({
          ...withSessions(opener, () => ({})),
          open: async (options) => {
            if (isAway) throw new ConnectionError("Cannot reach the backend: it is away");
            return await opener.open(options);
          },
        }),
      });
      await one.group(id).create();
      await using watch = await observer.group(id).watch();
      isAway = true;
      await aborted(observer.session.signal, "the session is lost");
      await one.group(id).delete();
      await one.group(id).join({}, { create: true });
      isAway = false;
      const words = (await within(Array.fromAsync(watch), "the watch ends")).map(word);
      assert.deepEqual(words, ["deleted"]);
    },
  },
];
