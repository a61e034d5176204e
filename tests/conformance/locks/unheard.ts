import assert from "node:assert/strict";
import { LockBrokenError } from "../../../mod.ts";
import type { Case } from "../suite.ts";
import { aborted, within } from "../waiting.ts";

/** Longer than any case lasts: nobody looks by itself. */
const LONG = 60_000;

export const unheard: readonly Case[] = [
  {
    name: "a hold that is broken while its coordinator is cut off is signalled at the next contact",
    holds: ["LE13", "L22"],
    needs: ["line"],
    async run(stage) {
      const line = await stage.line();
      const [exclusive, shared] = [stage.name("lock"), stage.name("lock")];
      const [away, other] = [await line.open({ ttl: 30_000 }), await stage.open({ ttl: 30_000 })];
      const leases = [
        await away.lock(exclusive).acquire(),
        await away.lock(shared).acquire({ mode: "shared" }),
      ];
      const kept = await away.lock(stage.name("lock")).acquire();
      line.interrupt();
      for (const name of [exclusive, shared]) {
        assert.equal(await other.lock(name).break(), true);
        assert.ok(await within(other.lock(name).acquire(), "the lock can be taken"));
      }
      assert.deepEqual(leases.map(({ signal }) => signal.aborted), [false, false], "nobody could tell");
      line.heal();
      for (const { signal } of leases) {
        const reason = await aborted(signal, "the signal fires");
        assert.ok(reason instanceof LockBrokenError, String(reason));
      }
      assert.equal(await kept.isHeld(), true);
      assert.equal(kept.signal.aborted, false);
    },
  },
  {
    name: "break() lets in who waits, though the holder hears nothing of it",
    holds: ["L21", "L22"],
    needs: ["line"],
    async run(stage) {
      const [line, name] = [await stage.line(), stage.name("lock")];
      const [holder, waiter, other] = [
        await line.open({ ttl: LONG }),
        await stage.open({ ttl: LONG }),
        await stage.open({ ttl: LONG }),
      ];
      const lease = await holder.lock(name).acquire();
      const waiting = waiter.lock(name).acquire();
      await stage.queued(name, 1);
      line.interrupt();
      assert.equal(await other.lock(name).break(), true);
      assert.ok((await within(waiting, "the waiter has it")).token > lease.token);
      assert.equal(lease.signal.aborted, false, "nobody could tell");
      line.heal();
    },
  },
];
