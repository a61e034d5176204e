// What becomes of locks when a replica takes the primary's place.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { createPool } from "mysql2";
import { ConnectionError, LockLostError } from "../../core/errors.ts";
import { mysql } from "../../drivers/mysql.ts";
import { getCoordinator } from "../../mod.ts";
import { aborted, eventually, failure } from "../conformance/waiting.ts";
import { adminOf, PRODUCTS, World } from "./mysql_world.ts";

/** What an operator says to a replica of each product. */
const WORDS = {
  MariaDB: {
    follow: (port: number) =>
      `change master to master_host = '127.0.0.1', master_port = ${port}, master_user = 'admin',
      master_log_file = 'bin.000001', master_log_pos = 4; start slave`,
    promote: "stop slave; reset slave all; set global read_only = 0",
  },
  MySQL: {
    follow: (port: number) =>
      `change replication source to source_host = '127.0.0.1', source_port = ${port}, source_user = 'admin',
      source_log_file = 'bin.000001', source_log_pos = 4, get_source_public_key = 1; start replica`,
    promote: "stop replica; reset replica all; set global read_only = 0",
  },
};

for (const { name, isHere, start } of PRODUCTS) {
  const OPTIONS = { skip: !isHere, timeout: 180_000 };
  const { follow, promote } = WORDS[name];

  test(
    `${name}: a replica is refused while it follows, and grants what comes later once it is promoted`,
    OPTIONS,
    async () => {
      await using world = await World.start(() => start({ args: ["--log-bin=bin", "--server-id=1"] }));
      await using replica = await start({ args: ["--log-bin=bin", "--server-id=2", "--read-only"] });
      const operator = await adminOf(replica);
      await operator.query(follow(world.server.port));
      // As an address that moves to the new primary.
      const reached = { host: "127.0.0.1", port: world.server.port };
      const pool = createPool({
        user: "coord",
        database: "coord",
        multipleStatements: true,
        stream: () => connect(reached),
      });
      const coord = await getCoordinator(mysql(pool), { ttl: 6_000 });
      try {
        await coord.group("known").create();
        for (let i = 0; i < 100; i++) await coord.lock(`lock-${i}`).use(() => {});
        const lease = await coord.lock("l").acquire();
        const latest = `select 1 from coord.tooz_hold where token = ${lease.token}`;
        await eventually(async () => (await operator.query<[]>(latest))[0].length > 0);
        const refused = await failure(getCoordinator(mysql(replica.url), { ttl: 6_000 }));
        assert.ok(refused instanceof ConnectionError && /read-only/.test(refused.message), String(refused));
        await world.server.kill();
        assert.ok(await aborted(lease.signal) instanceof LockLostError);
        await operator.query(promote);
        reached.port = replica.port;
        const next = await eventually(() => coord.lock("l").acquire());
        console.log(`${name}: the last token before was ${lease.token}, the first after it ${next.token}`);
        assert.ok(next.token > lease.token);
        assert.deepEqual(await coord.groups(), ["known"]);
      } finally {
        await coord.close();
        operator.destroy();
        pool.end();
      }
    },
  );
}
