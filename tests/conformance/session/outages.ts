import assert from "node:assert/strict";
import { ConnectionError, CoordError, getCoordinator } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { failure, within } from "../waiting.ts";
import { throughout, withSessions, type Wrap } from "../wrapping.ts";

export const outages: readonly Case[] = [
  {
    name: "no call outlives its deadline while the server is stopped",
    holds: ["S9", "S16", "L12"],
    needs: ["server"],
    async run(stage) {
      const own = await stage.ownServer();
      const [one, name] = [await own.open(), stage.name("lock")];
      const lease = await one.lock(name).acquire();
      await one.group(name).join({}, { create: true });
      own.server.pause();
      const calls = {
        acquire: one.lock(stage.name("lock")).acquire({ timeout: 100 }),
        tryAcquire: one.lock(stage.name("lock")).tryAcquire(),
        holders: one.lock(name).holders(),
        isHeld: lease.isHeld(),
        members: one.group(name).members(),
        update: one.group(name).update({ a: 1 }),
        leader: one.election(name).leader(),
        groups: one.groups(),
        release: lease.release(),
      };
      const many = Array.from({ length: 300 }, () => failure(one.lock(stage.name("lock")).tryAcquire()));
      const ends = Object.entries(calls).map(async ([call, promise]) =>
        [call, await failure(promise)] as const
      );
      for (const [call, error] of await within(Promise.all(ends), "every call ends")) {
        // What is asked once the session is known to be lost has an answer without the server.
        const known = error === undefined && (call === "isHeld" || call === "release");
        assert.ok(known || error instanceof CoordError, `${call}: ${error}`);
      }
      const ended = await within(Promise.all(many), "every one of many calls ends", 3 * stage.ttl);
      assert.ok(ended.every((error) => error instanceof CoordError));
      const opening = failure(getCoordinator(stage.factory(own.url), { ttl: stage.ttl }));
      assert.ok(await within(opening, "opening ends") instanceof ConnectionError);
      own.server.resume();
      // The session may be found lost only now.
      const again = stage.eventually(() => one.lock(name).acquire());
      assert.ok(await within(again, "the lock is taken"));
    },
  },
  {
    name: "a call has one deadline, what waits before it included, and close() has one",
    holds: ["S16", "G21"],
    needs: ["server"],
    async run(stage) {
      const own = await stage.ownServer();
      const open = () => own.open({ ttl: 12_000 });
      const [one, leaving, name] = [await open(), await open(), stage.name("lock")];
      const lease = await one.lock(name).acquire();
      const membership = await one.group(name).join({}, { create: true });
      const held = Array.from({ length: 6 }, () => leaving.lock(stage.name("lock")).acquire());
      await Promise.all([...held, leaving.group(name).join(), leaving.election(name).campaign()]);
      // Neither has ever lost its connection.
      own.server.pause();
      const calls: Record<string, Promise<unknown>> = {
        open: getCoordinator(stage.factory(own.url), { ttl: 12_000 }),
        acquire: one.lock(stage.name("lock")).acquire({ timeout: 100 }),
        tryAcquire: one.lock(stage.name("lock")).tryAcquire(),
        holders: one.lock(name).holders(),
        break: one.lock(stage.name("lock")).break(),
        leader: one.election(name).leader(),
        groups: one.groups(),
        join: one.group(stage.name("group")).join({}, { create: true }),
        isHeld: lease.isHeld(),
        release: lease.release(),
        heartbeat: one.heartbeat(),
        "first update": one.group(name).update({ a: 1 }),
        "second update": one.group(name).update({ a: 2 }),
        "third update": membership.update({ a: 3 }),
        members: one.group(name).members(),
        watch: one.group(name).watch(),
        leave: membership.leave(),
      };
      // Half a deadline more would be too much.
      const most = one.session.ttl / 3 * 1.35;
      const closed = within(leaving.close(), "close() has one deadline", most);
      const ends = Object.entries(calls).map(async ([call, promise]) => {
        const error = await within(failure(promise), `${call} has one deadline`, most);
        assert.ok(error instanceof ConnectionError, `${call}: ${error}`);
      });
      await Promise.all([...ends, closed]);
      own.server.resume();
      await stage.eventually(() => one.lock(name).acquire());
    },
  },
  {
    name: "calls that a driver does not answer have one deadline, and so have those behind them",
    holds: ["S16", "G21"],
    async run(stage) {
      let isMute = false;
      const mute: Wrap = (call) => (...parts) => isMute ? new Promise(() => {}) : call(...parts);
      const one = await stage.open({
        wrap: (opener) => withSessions(opener, (session) => throughout(session, mute)),
      });
      const name = stage.name("group");
      const membership = await one.group(name).join({}, { create: true });
      isMute = true;
      const calls = [
        one.groups(),
        one.lock(name).tryAcquire(),
        one.lock(name).holders(),
        one.lock(name).break(),
        one.election(name).leader(),
        ...[1, 2, 3, 4].map((a) => one.group(name).update({ a })),
        membership.update({ a: 5 }),
        one.group(name).members(),
        membership.leave(),
      ];
      // Two would be too many.
      const most = one.session.ttl / 3 * 1.5 + 500;
      for (const call of calls.map((call) => within(failure(call), "it has one deadline", most))) {
        assert.ok(await call instanceof ConnectionError);
      }
      isMute = false;
      await stage.eventually(async () => (await one.groups()).includes(name));
    },
  },
  {
    name: "a wait and its hold outlast a server that is away for longer than a call may take",
    holds: ["S9", "S10"],
    needs: ["proxy", "expiry"],
    async run(stage) {
      const [way, name, ttl] = [await stage.proxied(), stage.name("lock"), 12_000];
      const [holder, waiter] = [await way.open({ ttl }), await way.open({ ttl })];
      const lease = await holder.lock(name).acquire();
      const waiting = waiter.lock(name).acquire();
      await stage.queued(name, 1);
      // Its answers come in order: now the waiter too knows that it waits.
      await waiter.lock(name).holders();
      way.proxy.refuse();
      assert.ok(await within(failure(waiter.groups()), "the call ends") instanceof ConnectionError);
      way.proxy.forward();
      await stage.eventually(() => holder.state === "connected" && waiter.state === "connected");
      assert.equal(lease.signal.aborted, false);
      assert.equal(await lease.release(), true);
      assert.ok((await within(waiting, "the lock is handed over")).token > lease.token);
    },
  },
  {
    name: "work goes on after the server was killed and restarted",
    holds: ["S6", "LE6"],
    needs: ["server"],
    async run(stage) {
      const own = await stage.ownServer({ keepsData: true });
      const [one, two, name] = [await own.open(), await own.open(), stage.name("lock")];
      const before = await one.lock(name).acquire();
      await own.server.kill();
      await stage.eventually(() => one.state !== "connected");
      await own.server.restart();
      await stage.eventually(() => one.state === "connected" && two.state === "connected");
      await before.release().catch(() => {});
      const after = await within(two.lock(name).acquire(), "the lock is taken", 30_000);
      assert.ok(after.token > before.token);
      const next = one.lock(name).acquire();
      await after.release();
      assert.ok((await within(next, "the lock is handed over")).token > after.token);
    },
  },
  {
    name: "getCoordinator() says that nothing listens, and keeps the password to itself",
    holds: ["C24"],
    needs: ["server"],
    async run(stage) {
      const own = await stage.ownServer(stage.has("login") ? { password: "hunter2" } : {});
      await own.server.kill();
      const error = await within(
        failure(getCoordinator(stage.factory(own.url), { ttl: 3_000 })),
        "connecting fails",
      );
      assert.ok(error instanceof ConnectionError, String(error));
      assert.equal(error.driver, stage.driver);
      assert.ok(!describe(error).includes("hunter2"), describe(error));
    },
  },
  {
    name: "getCoordinator() says that the password is wrong, and keeps it to itself",
    holds: ["C24"],
    needs: ["server", "login"],
    async run(stage) {
      const own = await stage.ownServer({ password: "right-secret" });
      await using good = await own.open();
      assert.equal(good.state, "connected");
      const url = own.url.replace("right-secret", "wrong-secret");
      assert.notEqual(url, own.url);
      const error = await within(
        failure(getCoordinator(stage.factory(url), { ttl: 3_000 })),
        "connecting fails",
      );
      assert.ok(error instanceof ConnectionError, String(error));
      assert.doesNotMatch(describe(error), /secret/);
    },
  },
];

/** All that an error says, with its causes. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.name} ${error.message} ${error.stack} ${JSON.stringify(error)} ${describe(error.cause)}`;
}
