// What groups are where two change them at the same moment: servers tell each other's changes in different words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { groupBase } from "../../drivers/mysql/names.ts";
import { findBinary } from "../servers/binaries.ts";
import { startMariadb } from "../servers/mysql.ts";
import { eventually, within } from "../conformance/waiting.ts";
import { PRODUCTS, World } from "./mysql_world.ts";

/** From this version on it tells a change of a row by an error of its own. */
const NEWER = {
  name: "MariaDB 11",
  isHere: findBinary("mariadbd", "trixie") !== undefined,
  start: () => startMariadb({ suite: "trixie" }),
};

for (const { name, isHere, start } of [...PRODUCTS, NEWER]) {
  test(`${name}: of two who create a group at once one has`, { skip: !isHere, timeout: 60_000 }, async () => {
    await using world = await World.start(() => start());
    const session = await world.session("one");
    await session.groups.create("before");
    await world.admin.query(
      "use coord; start transaction; insert into tooz_group (base, space, name, made, version) values (?, '-', 'g', '-', 1)",
      [groupBase("coord", "tooz", "g")],
    );
    const created = session.groups.create("g");
    created.catch(() => {}); // It is looked at below.
    // It has read that there is none, and stands before the row that is not committed yet.
    await eventually(() => world.ask(WAITS));
    await world.admin.query("commit");
    await assert.rejects(within(created, "it is told"), { name: "GroupAlreadyExistError" });
  });
}

const WAITS = "select 1 from information_schema.innodb_trx where trx_state = 'LOCK WAIT'";
