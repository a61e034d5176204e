import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { splitMessages } from "../../drivers/zookeeper/wire.ts";
import { Interrupted } from "../../internal/tree/store.ts";
import { findZooKeeper, startZooKeeperCluster } from "../servers/zookeeper.ts";
import { entry, NEVER, nudging, openStore, startWorld, until, World } from "./zookeeper_world.ts";

const OPTIONS = { skip: !findZooKeeper(), timeout: 60_000 };
const LOCK = { kind: "lock", name: "l" } as const;
const LINE = "/test/locks/l";

/** The type of the request that lists a directory. */
const GET_CHILDREN = 12;

test("an entry whose answer was lost is found by its id, and made only once", OPTIONS, async () => {
  await using world = await startWorld();
  const proxy = await world.proxied();
  const a = await world.open({ ports: [proxy.port] });
  const line = a.line(LOCK);
  await line.enter(entry(), false);
  for (let i = 2; i < 12; i++) {
    const own = entry({ mode: i % 2 ? "shared" : "exclusive" });
    const dropped = proxy.dropAnswer({ to: own.id });
    await assert.rejects(line.enter(own, false), Interrupted);
    await dropped;
    const { place } = await line.enter(own, true);
    assert.equal((await world.children(LINE)).length, i);
    assert.equal((await world.stat(place.path))?.czxid.readBigInt64BE(), place.token);
    assert.deepEqual([...await a.owned([place.path])], [place.path]);
  }
  const own = entry();
  const dropped = proxy.dropAnswer({ to: own.id });
  await assert.rejects(line.enter(own, false), Interrupted);
  await dropped;
  assert.equal(await line.leave(own), true);
  assert.equal(await line.leave(own), false);
  assert.equal((await world.children(LINE)).length, 11);
});

test("enter() again makes an entry where the request was lost", OPTIONS, async () => {
  await using world = await startWorld();
  const proxy = await world.proxied();
  const a = await world.open({ ports: [proxy.port], limit: 500 });
  const own = entry();
  proxy.blackHole();
  await assert.rejects(a.line(LOCK).enter(own, false), Interrupted);
  proxy.forward();
  const { place } = await a.line(LOCK).enter(own, true);
  assert.deepEqual(await world.children(LINE), [place.path.slice(LINE.length + 1)]);
});

test("a black hole is noticed within the limit, and the session goes on after it", OPTIONS, async () => {
  await using world = await startWorld();
  const proxy = await world.proxied();
  const a = await world.open({ ports: [proxy.port], limit: 500 });
  const { place } = await a.line(LOCK).enter(entry(), false);
  const waiting = a.line(LOCK).changed(place.path, String(place.token), NEVER);
  const told = assert.rejects(waiting, Interrupted);
  proxy.blackHole();
  const start = performance.now();
  await assert.rejects(a.renew(), (error: Error) => {
    assert.ok(error instanceof Interrupted);
    assert.match(error.message, /no answer within 500 ms/);
    return true;
  });
  await told;
  assert.equal(a.broken.length, 1);
  // A new connection goes nowhere either.
  await assert.rejects(a.renew(), Interrupted);
  assert.ok(performance.now() - start < 5000);
  proxy.forward();
  await a.renew();
  assert.deepEqual([...await a.owned([place.path])], [place.path]);
});

test("a connection that broke is told, and what was asked is not sent again", OPTIONS, async () => {
  await using world = await startWorld();
  const proxy = await world.proxied();
  const a = await world.open({ ports: [proxy.port] });
  await a.renew();
  proxy.hold();
  const lost = [1, 2, 3].map(() => assert.rejects(a.line(LOCK).enter(entry(), false), Interrupted));
  await until(() => proxy.traffic.requestChunks > 2, "they are sent");
  proxy.cut();
  await Promise.all(lost);
  assert.equal(a.broken.length, 1);
  proxy.forward();
  await a.renew();
  assert.deepEqual((await a.line(LOCK).list()).entries, []);
});

test("connections that break in the middle of answers garble nothing", OPTIONS, async () => {
  await using world = await startWorld();
  const proxy = await world.proxied();
  const a = await world.open({ ports: [proxy.port] });
  const value = "x".repeat(400_000);
  const line = a.line(LOCK);
  await line.enter(entry({ value }), false);
  for (let i = 0; i < 10; i++) {
    const cut = proxy.dropAnswer({ to: LINE, after: 1000 });
    await assert.rejects(line.list(), Interrupted);
    await cut;
    await until(() => a.renew().then(() => true, () => false), "it is connected again");
    assert.equal((await line.list()).entries[0]?.value.length, value.length);
  }
});

test("open() takes the server that serves, and rejects in time where none does", OPTIONS, async () => {
  await using world = await startWorld();
  const hole = await world.proxied();
  hole.blackHole();
  for (let i = 0; i < 4; i++) {
    const a = await world.open({ ports: [1, hole.port, world.server.port], limit: 1500 });
    assert.match(a.location, /^127\.0\.0\.1:\d+,127\.0\.0\.1:\d+,127\.0\.0\.1:\d+$/);
  }
  const start = performance.now();
  await assert.rejects(world.open({ ports: [hole.port], limit: 300 }), /no answer within 300 ms/);
  await assert.rejects(world.open({ ports: [1], limit: 300 }), /ECONNREFUSED|refused/);
  assert.ok(performance.now() - start < 5000);
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  await assert.rejects(world.open({ signal }), reason);
  const stop = new AbortController();
  setTimeout(() => stop.abort(reason), 20);
  await assert.rejects(world.open({ ports: [hole.port], limit: 5000, signal: stop.signal }), reason);
});

test("destroy() rejects what waits, and makes no connection afterwards", OPTIONS, async () => {
  await using world = await startWorld();
  const proxy = await world.proxied();
  const a = await world.open({ ports: [proxy.port] });
  const { place } = await a.line(LOCK).enter(entry(), false);
  const waiting = assert.rejects(a.line(LOCK).changed(place.path, String(place.token), NEVER), Interrupted);
  await a.renew();
  proxy.hold();
  const asking = assert.rejects(a.renew(), Interrupted);
  a.destroy();
  await Promise.all([waiting, asking]);
  await assert.rejects(a.renew(), Interrupted);
  assert.equal(proxy.traffic.connections, 1);
  await until(() => proxy.open === 0, "the connection is closed");
});

test("a server of three that is killed is survived, in the same session", OPTIONS, async () => {
  await using cluster = await startZooKeeperCluster();
  const [one] = cluster.nodes;
  assert.ok(one);
  const world = new World(one);
  const ports = cluster.nodes.map(({ port }) => port);
  const [a, b] = [await world.open({ ports, limit: 2000 }), await world.open({ ports, limit: 2000 })];
  using _ = nudging([a, b]);
  const own = entry();
  const { place } = await a.line(LOCK).enter(own, false);
  const next = await b.line(LOCK).enter(entry(), false);
  assert.equal(next.ahead, place.path);
  let top = next.place.token;
  for (const node of cluster.nodes) {
    await node.kill();
    for (const store of [a, b]) {
      await until(() => store.renew().then(() => true, () => false), "it goes on", 30_000);
    }
    assert.deepEqual([...await a.owned([place.path, next.place.path])], [place.path]);
    const { place: { token } } = await a.line({ kind: "lock", name: "other" }).enter(entry(), false);
    assert.ok(token > top, "tokens grow");
    top = token;
    await node.start();
  }
  const heard = b.line(LOCK).changed(next.ahead, next.at, NEVER);
  assert.equal(await a.line(LOCK).leave(own, place), true);
  await heard;
  for (const store of [a, b]) {
    await store.end();
    store.destroy();
  }
  world.client.close();
});

test("what was written through one server is read through another at once", OPTIONS, async () => {
  await using cluster = await startZooKeeperCluster();
  const stores = await Promise.all(cluster.nodes.map(({ port }) => openStore({ ports: [port] })));
  const [a, b, c] = stores;
  assert.ok(a && b && c);
  using _ = nudging(stores);
  await a.groups.create("g", "one");
  for (let i = 0; i < 100; i++) {
    const [own, member] = [entry(), `m${i}`];
    const { place } = await a.line(LOCK).enter(own, false);
    for (const other of [b, c]) assert.equal((await other.line(LOCK).list()).entries[0]?.id, own.id);
    assert.equal(await b.line(LOCK).remove(place), true);
    assert.equal(await a.line(LOCK).look(own, place), undefined);
    assert.deepEqual([...await a.owned([place.path])], []);
    assert.equal(await c.groups.put("g", member, "v", undefined), true);
    for (const other of [a, b]) assert.ok((await other.groups.read("g", member))?.members.has(member));
  }
  for (const store of stores) {
    await store.end();
    store.destroy();
  }
});

test(
  "an entry that an operator removes before the line is listed is made again, not granted",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const [listing, removed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let isArmed = false;
    const gate = createServer((client) => {
      const server = connect(world.server.port, "127.0.0.1");
      let before = Promise.resolve();
      const pass = async (message: Buffer) => {
        if (isArmed && message.readInt32BE(8) === GET_CHILDREN) {
          isArmed = false;
          listing.resolve();
          await removed.promise;
        }
        server.write(message);
      };
      client.on("data", splitMessages((message) => before = before.then(() => pass(message))));
      server.on("data", (chunk) => client.write(chunk));
      client.on("close", () => server.destroy());
      server.on("close", () => client.destroy());
    });
    await new Promise<void>((resolve) => gate.listen(0, "127.0.0.1", resolve));
    const { port } = gate.address() as AddressInfo; // A TCP listener has no other kind of address.
    const [holder, waiter] = [await world.open(), await world.open({ ports: [port] })];
    try {
      const { place } = await holder.line(LOCK).enter(entry(), false);
      isArmed = true;
      const own = entry();
      const entering = waiter.line(LOCK).enter(own, false);
      await listing.promise;
      const made = async () => (await world.children(LINE)).find((name) => name.startsWith(own.id));
      await until(async () => await made() !== undefined, "the entry is made");
      assert.ok(await world.remove(`${LINE}/${await made()}`));
      removed.resolve();
      assert.equal((await entering).ahead, place.path);
      assert.equal((await world.children(LINE)).length, 2);
    } finally {
      await waiter.end();
      waiter.destroy();
      gate.close();
    }
  },
);

test("a refusal that the client has never heard of ends one request, and no process", async () => {
  const unknown = -125;
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {}); // It is cut off.
    let isReady = false;
    socket.on("data", (data) => {
      if (isReady) return void socket.write(answer(data.readInt32BE(4), unknown));
      isReady = true;
      socket.write(welcome());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // A TCP listener has no other kind of address.
  const store = await openStore({ ports: [port] });
  await assert.rejects(store.renew(), /the server refuses/);
  await assert.rejects(store.renew(), /the server refuses/);
  assert.equal(sockets.length, 1);
  store.destroy();
  await new Promise((resolve) => server.close(resolve));
});

/** The answer to a connect request: protocol, time-out, session, password. */
function welcome(): Buffer {
  const bytes = Buffer.alloc(4 + 4 + 4 + 8 + 4 + 16);
  bytes.writeInt32BE(bytes.length - 4, 0);
  bytes.writeInt32BE(2000, 8);
  bytes.writeBigInt64BE(7n, 12);
  bytes.writeInt32BE(16, 20);
  return bytes;
}

function answer(xid: number, error: number): Buffer {
  const bytes = Buffer.alloc(4 + 4 + 8 + 4);
  bytes.writeInt32BE(16, 0);
  bytes.writeInt32BE(xid, 4);
  bytes.writeInt32BE(error, 16);
  return bytes;
}
