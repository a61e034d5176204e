// What the driver makes of a server that lets no more clients in.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isPassing } from "../../internal/passing.ts";
import { CapacityError, getCoordinator } from "../../mod.ts";
import { eventually, failure, within } from "../conformance/waiting.ts";
import { findBinary } from "../servers/binaries.ts";
import { startWorld } from "./redis_world.ts";

const OPTIONS = { skip: !findBinary("redis-server"), timeout: 60_000 };

test(
  "a server that lets no more clients in is told to who wants in, and is waited for",
  OPTIONS,
  async () => {
    await using world = await startWorld();
    const url = `${world.server.url}?timeout=1000`;
    await using coord = await getCoordinator(url, { ttl: 30_000, heartbeat: "manual" });
    const lease = await coord.lock("l").acquire();
    await world.client.call("config", ["set", "maxclients", "1"]);
    const noRoom = async (call: () => Promise<unknown>) => {
      const error = await eventually(async () => {
        const failed = await within(failure(call()), "it is refused");
        // The server closes the connection, and its word may not get through.
        return !/ECONNRESET|EPIPE|closed/.test(String(failed)) && failed;
      });
      assert.ok(error instanceof CapacityError, String(error));
      assert.match(error.message, /max number of clients reached; raise maxclients/);
    };
    await noRoom(() => getCoordinator(url));
    assert.equal(await lease.isHeld(), true);
    for (const type of ["normal", "pubsub"]) await world.client.call("client", ["kill", "type", type]);
    await eventually(() => coord.state === "suspended");
    await noRoom(() => coord.groups());
    assert.ok(isPassing(await within(failure(lease.release()), "it is refused")));
    await world.client.call("config", ["set", "maxclients", "1000"]);
    await eventually(() => coord.state === "connected");
    // What could not be given back was given back since.
    await using other = await getCoordinator(url);
    await within(other.lock("l").acquire(), "it was given back");
  },
);
