import assert from "node:assert/strict";
import type { Turn } from "../remote.ts";
import type { Case } from "../suite.ts";
import { within } from "../waiting.ts";

export const tokens: readonly Case[] = [
  {
    name: "token grows with each exclusive grant, whoever gets it",
    holds: ["LE1", "LE6"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      let last = 0n;
      for (let i = 0; i < 6; i++) {
        await using lease = await (i % 2 ? one : two).lock(name).acquire();
        assert.equal(typeof lease.token, "bigint");
        assert.ok(lease.token > last, `${lease.token} after ${last}`);
        assert.ok(lease.token < 2n ** 63n);
        last = lease.token;
      }
    },
  },
  {
    name: "token grows although the client was restarted",
    holds: ["LE6"],
    async run(stage) {
      const [name, memberId] = [stage.name("lock"), stage.name("member")];
      let last = 0n;
      for (let i = 0; i < 3; i++) {
        await using coord = await stage.open({ memberId });
        const lease = await coord.lock(name).acquire();
        assert.ok(lease.token > last, `${lease.token} after ${last}`);
        last = lease.token;
      }
    },
  },
  {
    name: "token of a writer is greater than those of the readers before it",
    holds: ["LE6", "LE7"],
    async run(stage) {
      const name = stage.name("lock");
      const [one, two] = [await stage.open(), await stage.open()];
      const readers = [
        await one.lock(name).acquire({ mode: "shared" }),
        await two.lock(name).acquire({ mode: "shared" }),
      ];
      for (const reader of readers) {
        assert.ok(reader.token > 0n);
        assert.equal(await reader.release(), true);
      }
      await using writer = await two.lock(name).acquire();
      for (const reader of readers) {
        assert.ok(writer.token > reader.token, `${writer.token} after ${reader.token}`);
      }
    },
  },
  {
    name: "token grows across processes of all runtimes",
    holds: ["LE6"],
    smoke: true,
    needs: ["processes"],
    async run(stage) {
      const name = stage.name("lock");
      let last = 0n;
      for (const runtime of ["deno", "bun", "node"] as const) {
        const member = await stage.worker(runtime, { ttl: 10_000 });
        for (let i = 0; i < 3; i++) {
          const lease = await within(member.acquire(name), `${runtime} holds the lock`);
          assert.ok(lease.token > last, `${lease.token} after ${last}`);
          last = lease.token;
          await lease.release();
        }
      }
    },
  },
  {
    name: "token grows over 200 hand-offs between processes, of which no two hold at once",
    holds: ["LE6", "L6", "X2"],
    smoke: true,
    needs: ["processes"],
    async run(stage) {
      const name = stage.name("lock");
      const options = { ttl: 10_000 };
      const members = await Promise.all(
        (["deno", "bun", "node"] as const).map((runtime) => stage.worker(runtime, options)),
      );
      const turns: (Turn & { readonly by: number })[] = [];
      // Where the line is not fair, most grants go to the one that released: so again until there were enough.
      while (handOffs(turns) < 200) {
        const contests = members.map((member) => member.contend(name, { rounds: 70, hold: 1 }));
        const results = await within(Promise.all(contests), "all had their turns", 60_000);
        results.forEach((own, by) => turns.push(...own.map((turn) => ({ ...turn, by }))));
      }
      turns.sort((a, b) => Number(a.token - b.token));
      turns.reduce((before, next) => {
        assert.ok(next.token > before.token, `${next.token} after ${before.token}`);
        assert.ok(
          next.from >= before.to,
          `token ${next.token} was granted while ${before.token} held the lock`,
        );
        return next;
      });
    },
  },
];

function handOffs(turns: readonly (Turn & { readonly by: number })[]): number {
  const order = [...turns].sort((a, b) => Number(a.token - b.token));
  return order.filter((turn, i) => i > 0 && turn.by !== order[i - 1]?.by).length;
}
