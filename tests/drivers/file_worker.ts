// A process with a session of the file driver, for the tests of that driver.
import { spawn } from "node:child_process";
import type { Attempt, Grant } from "../../driver.ts";
import { serve } from "../processes/serve.ts";
import { lost, openParty, type Party } from "./file_world.ts";

let party: Party | undefined;
const grants = new Map<string, Grant>();
const now = () => performance.timeOrigin + performance.now();

function session(): Party {
  if (!party) throw new Error("Cannot use the worker: open it first");
  return party;
}

async function take(
  name: string,
  options: Partial<Attempt> = {},
): Promise<{ token: bigint; at: number } | undefined> {
  const grant = await session().ask(name, options);
  if (!grant) return undefined;
  grants.set(name, grant);
  return { token: grant.token, at: now() };
}

await serve({
  methods: {
    async open(url: string, memberId: string) {
      party = await openParty(url, memberId);
    },
    take,
    release: async (name: string) => ({ released: await grants.get(name)?.release(), at: now() }),
    lost: async (name: string) => (await lost(grants.get(name)?.lost ?? AbortSignal.abort())).name,
    async join(group: string, data: string) {
      await session().groups.join(group, { presence: crypto.randomUUID(), data, replace: false });
    },
    /** A child that outlives us, up to a minute. */
    spawn() {
      const child = spawn("sleep", ["60"], { stdio: "ignore", detached: true });
      child.unref();
      return child.pid;
    },
    /** Takes and releases from `from` on for `ms`; answers the tokens in order. */
    async contend(name: string, { ms, from }: { ms: number; from: number }) {
      while (now() < from) await new Promise((resolve) => setTimeout(resolve, 5));
      const tokens: bigint[] = [];
      for (const end = now() + ms; now() < end;) {
        const grant = await session().take(name);
        tokens.push(grant.token);
        await grant.release();
      }
      return tokens;
    },
  },
  close: () => party?.close(),
});
