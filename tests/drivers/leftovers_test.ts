// A session that is given up while its servers are away: on them it lives on, and what it held stays taken.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { getCoordinator } from "../../mod.ts";
import { aborted, eventually, within } from "../conformance/waiting.ts";
import { PRODUCTS } from "../faults/products.ts";
import { hasServer } from "../servers/available.ts";
import { startProxy } from "../servers/proxy.ts";

/** How long a server keeps a session at least, in ms, and how much earlier its holder gives it up. */
const [KEPT, MARGIN] = [8_000, 6_000];
/** Long enough for a try to end a session to fail, in ms. */
const AWAY = 1_000;

for (const [driver, { factory, server: start, grants }] of Object.entries(PRODUCTS)) {
  const options = { ttl: KEPT / grants, margin: MARGIN };

  test(
    `${driver}: what a lost session held is free when the server ends it, though it can be reached before`,
    { skip: !hasServer(driver), timeout: 120_000 },
    async () => {
      await using server = await start();
      await using proxy = await startProxy(server.port);
      await using other = await getCoordinator(factory(server.url));
      const opened = performance.now();
      await using holder = await getCoordinator(factory(server.urlAt(proxy.port)), options);
      const lease = await holder.lock("l").acquire();
      const next = other.lock("l").acquire();
      proxy.refuse();
      await aborted(lease.signal);
      await sleep(AWAY);
      proxy.forward();
      await eventually(() => holder.state === "connected");
      assert.ok((await within(next, "the lock is granted", 60_000)).token > lease.token);
      assert.ok(performance.now() - opened >= KEPT, "the loser had its margin");
    },
  );

  test(
    `${driver}: a coordinator that is closed tries no longer to end a lost session`,
    { skip: !hasServer(driver), timeout: 120_000 },
    async () => {
      await using server = await start();
      await using proxy = await startProxy(server.port);
      const holder = await getCoordinator(factory(server.urlAt(proxy.port)), options);
      const lease = await holder.lock("l").acquire();
      proxy.refuse();
      await aborted(lease.signal);
      await sleep(AWAY);
      await holder.close();
      await sleep(AWAY); // For a connection that was being made.
      const { connections } = proxy.traffic;
      await sleep(AWAY);
      assert.equal(proxy.traffic.connections, connections);
    },
  );
}
