import assert from "node:assert/strict";
import { test } from "node:test";
import { consul } from "../../drivers/consul.ts";
import { Interrupted } from "../../internal/tree/store.ts";
import { getCoordinator } from "../../mod.ts";
import { failure, within } from "../conformance/waiting.ts";
import { findBinary } from "../servers/binaries.ts";
import { startProxy } from "../servers/proxy.ts";
import { LOCK, newEntry, startWorld } from "./consul_world.ts";

const OPTIONS = { skip: !findBinary("consul"), timeout: 60_000 };

test("a group is not deleted when somebody has joined since it was read", OPTIONS, async () => {
  await using world = await startWorld();
  const [one, two] = [await world.open(), await world.open()];
  assert.equal(await one.groups.put("g", "m", "v", undefined), false);
  for (let round = 0; round < 2; round++) {
    assert.equal(await one.groups.create("g", `by ${round}`), true);
    assert.equal(await two.groups.create("g", "other"), false);
    for (let i = 0; i < 2; i++) {
      const empty = await one.groups.read("g");
      assert.ok(empty);
      assert.equal(await two.groups.put("g", "m", "same value", undefined), true);
      assert.equal(await one.groups.delete("g", empty), false);
      const seen = (await two.groups.read("g", "m"))?.members.get("m");
      assert.ok(seen);
      assert.equal(await two.groups.remove("g", "m", seen), true);
      assert.equal(await one.groups.delete("g", empty), false);
    }
    const last = await one.groups.read("g");
    assert.ok(last);
    assert.equal(await one.groups.delete("g", last), true);
    assert.equal(await one.groups.delete("g", last), false);
    assert.equal(await one.groups.read("g"), undefined);
  }
  assert.deepEqual((await world.ask("/kv/test/groups/?keys")).body, undefined);
});

test("put() takes over a member of another session, and amend() leaves it to its own", OPTIONS, async () => {
  await using world = await startWorld();
  const [one, two] = [await world.open(), await world.open()];
  const path = one.groups.path("g", "m");
  const read = async () => {
    const seen = (await one.groups.read("g", "m"))?.members.get("m");
    assert.ok(seen);
    return seen;
  };
  await one.groups.create("g", "by");
  assert.equal(await one.groups.put("g", "m", "1", undefined), true);
  const first = await read();
  for (const store of [one, two]) assert.equal(await store.groups.put("g", "m", "2", undefined), false);
  assert.equal(await two.groups.amend("g", "m", "3", first), true);
  assert.deepEqual([(await one.owned([path])).size, (await two.owned([path])).size], [1, 0]);
  assert.equal(await two.groups.put("g", "m", "4", first), false);
  assert.equal(await two.groups.put("g", "m", "4", await read()), true);
  assert.deepEqual([(await one.owned([path])).size, (await two.owned([path])).size], [0, 1]);
  assert.equal(await one.groups.remove("g", "m", first), false);
  await one.end();
  assert.equal((await two.groups.read("g"))?.members.get("m")?.value, "4");
});

test("what a lost answer repeats touches no later member, nor a later group", OPTIONS, async () => {
  await using world = await startWorld();
  await using proxy = await startProxy(world.server.port);
  const [one, operator] = await Promise.all(
    [world.server.url, world.server.urlAt(proxy.port)].map((url) =>
      getCoordinator(consul(url), { memberId: "m" })
    ),
  );
  assert.ok(one && operator);
  try {
    /** Does something after the operator's change was made, and before it is known to him. */
    const between = async (change: () => Promise<void>, then: () => Promise<unknown>) => {
      const dropped = proxy.dropAnswer({ to: '"delete"' });
      const changing = change();
      await within(dropped, "the change is made");
      proxy.refuse();
      await then();
      proxy.forward();
      await within(changing, "the change is known");
    };
    await one.group("g").create();
    await one.group("g").join(1);
    await between(() => operator.group("g").leave(), () => one.group("g").join(2, { replace: true }));
    assert.equal((await one.group("g").member("m")).capabilities, 2);
    await one.group("g").leave();
    await between(() => operator.group("g").delete(), () => one.group("g").create());
    assert.deepEqual(await one.groups(), ["g"]);
  } finally {
    await Promise.all([one.close(), operator.close()]);
  }
});

test("a value that is too large is refused, and keys of other software do no harm", OPTIONS, async () => {
  await using world = await startWorld();
  const store = await world.open();
  const line = store.line(LOCK);
  const error = await failure(line.enter(newEntry({ value: "x".repeat(600_000) })));
  assert.match(String(error), /too large/);
  assert.ok(!(error instanceof Interrupted));
  await line.enter(newEntry({ value: "x".repeat(300_000) }));
  const foreign = `http://127.0.0.1:${world.server.port}/v1/kv/test`;
  await (await fetch(`${foreign}/locks/l/.lock`, { method: "PUT", body: "?" })).text();
  await (await fetch(`${foreign}/groups/%25zz/x`, { method: "PUT", body: "?" })).text();
  assert.equal((await line.list()).entries.length, 1);
  assert.deepEqual(await store.groups.list(), []);
});
