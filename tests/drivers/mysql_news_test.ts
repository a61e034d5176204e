// How the driver is told of what others do, where the servers have no means for it: nothing may be lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../driver.ts";
import { mysql } from "../../drivers/mysql.ts";
import { News } from "../../drivers/mysql/news.ts";
import { systemClock } from "../../internal/clock.ts";
import { BellBoard } from "../../internal/sql/bells.ts";
import { type Coordinator, getCoordinator } from "../../mod.ts";
import { iterate, next, until } from "../conformance/reading.ts";
import { eventually, failure, within } from "../conformance/waiting.ts";
import { collectGarbage } from "../processes/garbage.ts";
import { Gate } from "./mysql_gate.ts";
import { PRODUCTS, World } from "./mysql_world.ts";

/** In ms; so long that nobody looks by itself. */
const ttl = 600_000;

/** So long after it was told a listener waits again, in ms. */
const QUIET = 500;
/** With these words the listener waits, and looks. */
const [WAITS, LOOKS] = ["select if(", "select topic, rung"];
const LISTENING = "from information_schema.processlist where info like 'select if(%'";

/** Listeners on whose way a request can be held back. */
async function behind(gate: Gate, world: World): Promise<Coordinator> {
  return await getCoordinator(mysql(world.server.urlAt(gate.port)), { ttl });
}

/** When nothing more is under way of what a member tells others, or itself: its requests come one after the other. */
async function told(coord: Coordinator): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await coord.heartbeat();
    await coord.groups();
  }
}

for (const { name, isHere, start } of PRODUCTS) {
  const OPTIONS = { skip: !isHere, timeout: 120_000 };

  test(
    `${name}: two topics that are rung while their listener is about to wait are both heard`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      using gate = await Gate.start(world.server.port);
      const one = await world.open({ ttl });
      await one.group("g").create();
      await using observer = await behind(gate, world);
      await using watch = await observer.group("g").watch();
      await using leaders = await observer.election("g").watch();
      const [events, leaderships] = [iterate(watch), iterate(leaders)];
      for (let i = 1; i <= 3; i++) {
        const held = gate.hold(WAITS);
        await observer.heartbeat();
        await within(held.reached, "the listener is about to wait");
        // Each is counted up once.
        const [joined, leads] = [await one.group("g").join(), await one.election("g").campaign()];
        await told(one);
        held.pass();
        await until(events, ({ type }) => type === "joined", `join ${i} is seen`);
        await until(leaderships, (leader) => leader?.token === leads.token, `election ${i} is seen`);
        await Promise.all([joined.leave(), leads.resign()]);
        await until(events, ({ type }) => type === "left", `leaving ${i} is seen`);
        await until(leaderships, (leader) => leader === undefined, `resigning ${i} is seen`);
      }
    },
  );

  test(
    `${name}: what is rung before the listener has looked for the first time is heard`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      using gate = await Gate.start(world.server.port);
      const one = await world.open({ ttl });
      await one.group("g").create();
      const held = gate.hold(LOOKS);
      await using observer = await behind(gate, world);
      await within(held.reached, "the listener is about to look");
      await using watch = await observer.group("g").watch();
      const events = iterate(watch);
      await eventually(async () => await world.ask("select 1 from coord.tooz_watch where topic like 'g.%'"));
      await one.group("g").join();
      await told(one);
      held.pass();
      assert.equal((await next(events, "the join is seen")).type, "joined");
    },
  );

  test(`${name}: a topic that was left and is listened to again is heard anew`, OPTIONS, async () => {
    await using world = await World.start(start);
    const [one, observer] = [await world.open({ ttl }), await world.open({ ttl })];
    await one.group<number>("g").create();
    const membership = await one.group<number>("g").join(0);
    const rows = () => world.ask("select count(*) from coord.tooz_watch where topic like 'g.%'");
    for (let i = 1; i <= 2; i++) {
      const watch = await observer.group<number>("g").watch();
      await eventually(async () => await rows() === 1);
      await membership.update(i);
      await until(iterate(watch), ({ type }) => type === "updated", `update ${i} is seen`);
      await watch[Symbol.asyncDispose]();
      // The listener has nothing to wake for meanwhile.
      await eventually(async () => await rows() === 0);
    }
  });

  test(`${name}: a ring that is the victim of a deadlock is rung again`, OPTIONS, async () => {
    await using world = await World.start(start);
    const coords = await Promise.all([1, 2, 3].map(() => world.open({ ttl })));
    const [one, two, three] = coords;
    assert.ok(one && two && three);
    await one.group<number>("g").create();
    const membership = await one.group<number>("g").join(0);
    await using first = await two.group<number>("g").watch();
    await using second = await three.group<number>("g").watch();
    const rows = "from coord.tooz_watch where topic like 'g.%'";
    await eventually(async () => await world.ask(`select count(*) ${rows}`) === 2);
    const topic = await world.ask(`select topic ${rows}`);
    // The server ends the transaction that has changed less.
    await world.admin.query(
      `create table coord.ballast (n int) engine = InnoDB; set session transaction isolation level read committed;
      start transaction; insert into coord.ballast values (1), (2), (3), (4), (5)`,
    );
    const lock = async (order: string) => {
      const session = await world.ask(`select session ${rows} order by session ${order}`);
      const which = `topic = '${topic}' and session = '${session}'`;
      await world.admin.query(`select rung from coord.tooz_watch where ${which} for update`);
    };
    await lock("desc");
    const updated = membership.update(1);
    await eventually(() =>
      world.ask("select 1 from information_schema.innodb_trx where trx_state = 'LOCK WAIT'")
    );
    await lock("asc");
    await world.admin.query("commit");
    await updated;
    for (const watch of [first, second]) {
      await until(iterate(watch), ({ type }) => type === "updated", "the update is seen");
    }
  });

  test(
    `${name}: a listener whose connection has gone unseen by the server listens again`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      using gate = await Gate.start(world.server.port);
      const one = await world.open({ ttl });
      await one.group<number>("g").create();
      const membership = await one.group<number>("g").join(0);
      await using observer = await behind(gate, world);
      await using watch = await observer.group<number>("g").watch();
      const events = iterate(watch);
      await eventually(async () => await world.ask(`select count(*) ${LISTENING}`) === 2);
      const before = Number(await world.ask(`select max(id) ${LISTENING}`));
      gate.strand(WAITS);
      await eventually(async () => Number(await world.ask(`select max(id) ${LISTENING}`)) > before);
      await told(observer);
      // Nor will its listener look again by itself: it waits since it was told.
      await sleep(QUIET);
      await membership.update(1);
      await until(events, ({ type }) => type === "updated", "the update is seen");
    },
  );

  test(
    `${name}: the end of a session that came while its guard was about to wait is told at once`,
    OPTIONS,
    async () => {
      await using world = await World.start(start);
      using gate = await Gate.start(world.server.port);
      const observer = await world.open({ ttl });
      await observer.group("g").create();
      await using watch = await observer.group("g").watch();
      const events = iterate(watch);
      // It comes before the next session in the ring, and hears nothing of what that does.
      await using guard = await behind(gate, world);
      await using _nothing = await guard.election("nothing").watch();
      await told(guard);
      const held = gate.hold(WAITS);
      await guard.heartbeat();
      await within(held.reached, "the guard is about to wait");
      const before = await world.connections();
      // A coordinator would be back at once, and bury what is dead.
      const session = await world.session("mortal");
      // Its own connection is made first.
      const [own] = (await world.connections()).filter((id) => !before.includes(id)).sort((a, b) => a - b);
      await session.groups.join("g", { presence: "p", data: "{}", replace: false });
      await session.beat();
      held.pass();
      await until(events, ({ type }) => type === "joined", "the join is seen");
      await eventually(async () => await world.ask(`select count(*) ${LISTENING}`) === 3);
      await world.admin.query(`kill ${own}`);
      await until(events, ({ type }) => type === "left", "the death is seen");
    },
  );

  test(`${name}: what was heard leaves nothing in memory`, OPTIONS, async () => {
    await using world = await World.start(start);
    const [one, observer] = [await world.open({ ttl }), await world.open({ ttl })];
    await one.group("g").create();
    const membership = await one.group<number>("g").join(0);
    await using watch = await observer.group<number>("g").watch();
    const events = iterate(watch);
    const hear = async (count: number) => {
      for (let i = 1; i <= count; i++) {
        await membership.update(i);
        await next(events, `update ${i} is heard`);
      }
    };
    await hear(300);
    const before = collectGarbage();
    await hear(500);
    const grown = collectGarbage() - before;
    assert.ok(grown < 500_000, `${grown} bytes more`);
  });

  test(`${name}: who waits for a topic until the session is over leaves no timer`, OPTIONS, async () => {
    await using world = await World.start(start);
    await world.open({ ttl }); // The tables are there.
    const timers = new Set<() => void>();
    const clock: Clock = {
      ...systemClock,
      after(ms, fn) {
        const cancel = systemClock.after(ms, () => (timers.delete(stop), fn()));
        const stop = () => (timers.delete(stop), cancel());
        timers.add(stop);
        return stop;
      },
    };
    const main = await world.connect();
    const news = new News({
      clock,
      bells: new BellBoard(() => {}),
      main,
      session: "0".repeat(32),
      ttl,
      connect: () => world.connect(),
    });
    const over = new AbortController();
    const waiting = failure(news.changed("g.topic", 0, over.signal));
    news.destroy();
    over.abort("over");
    assert.equal(await waiting, "over");
    assert.equal(timers.size, 0);
    main.destroy();
  });
}
