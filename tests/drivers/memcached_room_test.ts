// What the driver makes of a server that lets no more clients in.
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { CapacityError, getCoordinator } from "../../mod.ts";
import { eventually, failure, within } from "../conformance/waiting.ts";
import { findBinary } from "../servers/binaries.ts";
import { startWorld } from "./memcached_world.ts";

const OPTIONS = { skip: !findBinary("memcached"), timeout: 120_000 };

test(
  "a server that has too many connections is told to who opens one, and is waited for",
  OPTIONS,
  async () => {
    await using world = await startWorld({ count: 2, args: ["-c", "20"] });
    const [here, there] = [world.lockOn(0), world.lockOn(1)];
    const coord = await world.open({ ttl: 20_000, url: `memcached://127.0.0.1:${world.servers[0]?.port}` });
    const lease = await coord.lock(here).acquire();
    const crowds = await Promise.all(world.servers.map(({ port }) => crowd(port)));
    await noConnection(() => getCoordinator(world.url));
    assert.equal(await lease.isHeld(), true);
    for (const socket of crowds[0] ?? []) socket.destroy();
    // One of both will do, but for what is on the other.
    const both = await eventually(() => world.open({ ttl: 20_000 }));
    assert.ok(await both.lock(here).tryAcquire() === undefined);
    await noConnection(() => both.lock(there).acquire());
    for (const socket of crowds[1] ?? []) socket.destroy();
    assert.ok(await eventually(() => both.lock(there).tryAcquire()));
  },
);

async function noConnection(call: () => Promise<unknown>): Promise<void> {
  const error = await eventually(async () => {
    const failed = await within(failure(call()), "it is refused");
    // The server closes the connection, and its word may not get through.
    return !/ECONNRESET|EPIPE|closed/.test(String(failed)) && failed;
  });
  assert.ok(error instanceof CapacityError, String(error));
  assert.match(error.message, /no connection left; raise its -c/);
}

/** Connects until a server lets nobody in. */
async function crowd(port: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let isFull = false; !isFull;) {
    const socket = connect(port, "127.0.0.1");
    sockets.push(socket);
    socket.on("error", () => {}); // It is destroyed, or the server is stopped.
    const { promise, resolve } = Promise.withResolvers<boolean>();
    socket.on("data", (chunk) => resolve(/Too many/.test(String(chunk))));
    socket.on("close", () => resolve(true));
    socket.write("mn\r\n");
    isFull = await within(promise, "the server answers");
  }
  return sockets;
}
