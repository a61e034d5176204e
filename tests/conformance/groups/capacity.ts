import assert from "node:assert/strict";
import { CapacityError } from "../../../mod.ts";
import { iterate, next, word } from "../reading.ts";
import type { Case } from "../suite.ts";
import { failure, within } from "../waiting.ts";

/** More than most servers take in one value, in bytes. */
const LARGE = 40_000_000;

export const capacity: readonly Case[] = [
  {
    name: "capabilities that are too large are a CapacityError for who has them, and harm nobody else",
    holds: ["R7"],
    async run(stage) {
      const id = stage.name("group");
      const ttl = 60_000;
      const [one, two] = [await stage.open({ ttl }), await stage.open({ ttl })];
      const [session, lease] = [one.session.signal, await one.lock(id).acquire()];
      await one.group(id).create();
      await using watch = await two.group(id).watch();
      const events = iterate(watch);
      const large = { text: "x".repeat(LARGE) };
      const joining = one.group(id).join(large);
      const error = await within(failure(joining), "the join ends", 60_000);
      assert.ok(error === undefined || error instanceof CapacityError, String(error));
      if (error === undefined) {
        // It is not too large for this backend.
        assert.equal(word(await next(events, "the member is seen")), `joined ${one.memberId}`);
        await (await joining).leave();
        assert.equal(word(await next(events, "it has left")), `left ${one.memberId}`);
      } else assert.match(error.message, /\d/);
      const small = await one.group(id).join({ text: "x" });
      assert.equal(word(await next(events, "the member is seen")), `joined ${one.memberId}`);
      const updated = await within(failure(small.update(large)), "the update ends", 60_000);
      assert.ok(updated === undefined || updated instanceof CapacityError, String(updated));
      assert.equal(error === undefined, updated === undefined);
      assert.equal(small.signal.aborted, false);
      assert.equal(await small.leave(), true);
      assert.deepEqual([session.aborted, lease.signal.aborted], [false, false]);
      assert.equal(await lease.release(), true);
    },
  },
];
