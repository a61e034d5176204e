import assert from "node:assert/strict";
import { RUNTIMES } from "../../processes/runtimes.ts";
import { WorkerError } from "../../processes/spawn.ts";
import { iterate, until } from "../reading.ts";
import type { RemoteLease, RemoteMember } from "../remote.ts";
import type { Case } from "../suite.ts";
import { within } from "../waiting.ts";

/** For a machine that is busy, in ms. */
const SLACK = 4_000;

/** Stands again where a short ttl left half a second for what takes a busy machine longer. */
async function campaign(candidate: RemoteMember, election: string): Promise<RemoteLease> {
  for (;;) {
    try {
      return await candidate.campaign(election, { value: candidate.runtime });
    } catch (error) {
      if (!(error instanceof WorkerError) || error.code !== "CONNECTION") throw error;
    }
  }
}

export const successions: readonly Case[] = [
  {
    name: "three candidates in processes of three runtimes, two of which are killed while they lead",
    holds: ["E18", "E16", "E2", "LE6"],
    needs: ["processes"],
    async run(stage) {
      const id = stage.name("election");
      const observer = await stage.open();
      await using watch = await observer.election(id).watch();
      const leaders = iterate(watch);
      const candidates = await Promise.all(RUNTIMES.map((runtime) => stage.worker(runtime)));
      const campaigns = new Map(candidates.map((candidate) => {
        const elected = campaign(candidate, id);
        elected.catch(() => {}); // Those that are killed hear nothing more.
        return [candidate.memberId, { candidate, elected }];
      }));
      let before = 0n;
      while (campaigns.size > 0) {
        const start = performance.now();
        const leader = await until(leaders, (found) => campaigns.has(found?.memberId ?? ""), "one leads");
        const found = campaigns.get(leader?.memberId ?? "");
        assert.ok(leader && found);
        const took = performance.now() - start;
        if (before > 0n) assert.ok(took < stage.lingers + SLACK, `the succession took ${took} ms`);
        const { candidate, elected } = found;
        const { token } = await within(elected, "the leader knows of it");
        assert.deepEqual(leader, { memberId: candidate.memberId, token, value: candidate.runtime });
        assert.ok(token > before, "tokens grow");
        before = token;
        campaigns.delete(candidate.memberId);
        if (campaigns.size > 0) await candidate.kill();
        else assert.equal((await observer.election(id).leader())?.token, token);
      }
    },
  },
  {
    name: "a leader whose process is killed is followed at once, without a time-out",
    holds: ["E18", "X13"],
    needs: ["processes", "CRASH_RELEASE"],
    async run(stage) {
      const id = stage.name("election");
      const next = await stage.open({ ttl: 60_000 });
      const leader = await stage.worker(undefined, { ttl: 60_000 });
      const { token } = await leader.campaign(id);
      const campaign = next.election(id).campaign();
      await stage.eventually(async () => (await stage.entries(id, "election")).length === 2);
      await leader.kill();
      assert.ok((await within(campaign, "the next is elected")).token > token);
    },
  },
];
