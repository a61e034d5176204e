// What processes survive whose session is a connection, on the backend that COORD_BACKEND names.
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { checkTurns, Crew } from "./crew.ts";
import { DATABASES } from "./databases.ts";

const backend = process.env.COORD_BACKEND ?? "postgresql";
const database = DATABASES[backend];
if (!database) throw new Error(`Cannot test ${backend}: want one of ${Object.keys(DATABASES)}`);

const OPTIONS = { timeout: 300_000 };

test(`${backend}: 8 processes contend on while the server is killed and restarted`, OPTIONS, async () => {
  await using server = await database.server();
  await using crew = new Crew(6_000);
  while (crew.members.length < 8) await crew.hire(server.url);
  let restarted = 0;
  const turns = await crew.contend("lock", async () => {
    for (let i = 0; i < 3; i++) {
      await sleep(3_000);
      await server.restart();
      restarted = Date.now();
    }
  });
  checkTurns(turns);
  const after = turns.filter(({ from }) => from > restarted);
  assert.ok(after.length >= 50, `only ${after.length} turns after the last restart`);
  assert.equal(new Set(after.map(({ member }) => member)).size, 8, "every process goes on");
  console.log(`${backend}: ${turns.length} turns, ${after.length} of them after the last of 3 restarts`);
});
