// A process with a session of a driver that needs no server, for the tests of such a driver.
import { execSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Attempt, Backend, Grant } from "../../driver.ts";
import { file } from "../../drivers/file.ts";
import { ipc } from "../../drivers/ipc.ts";
import { serve } from "../processes/serve.ts";
import { lost, NEVER, openOn, type Party } from "./party.ts";

let party: Party | undefined;
const grants = new Map<string, Grant>();
const now = () => performance.timeOrigin + performance.now();

function backendOf(url: string): Backend {
  return url.startsWith("ipc:") ? ipc(url) : file(url);
}

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
    async open(url: string, memberId: string, namespace: string) {
      party = await openOn(backendOf(url), memberId, { namespace });
    },
    take,
    release: async (name: string) => ({ released: await grants.get(name)?.release(), at: now() }),
    lost: async (name: string) => (await lost(grants.get(name)?.lost ?? AbortSignal.abort())).name,
    /** Replaces the value again and again for `ms`. */
    async proclaim(name: string, { ms, size }: { ms: number; size: number }) {
      const end = now() + ms;
      for (let i = 0; now() < end; i++) {
        await grants.get(name)?.update(String(i % 10).repeat(size + i % 7));
      }
    },
    create: (group: string) => session().groups.create(group),
    async join(group: string, data: string) {
      await session().groups.join(group, { presence: crypto.randomUUID(), data, replace: false });
    },
    /** Follows a group for as long as the process lives; answers once it does. */
    async watch(group: string) {
      const all = session().groups.watch(group, NEVER)[Symbol.asyncIterator]();
      await all.next();
      void all.next();
    },
    /**
     * Opens a session, takes and releases, and closes it, again and again for `ms`; answers the tokens. While it holds,
     * a file stands at `marker`.
     */
    async churn(
      url: string,
      namespace: string,
      { name, marker, ms, from }: { name: string; marker: string; ms: number; from: number },
    ) {
      const tokens: bigint[] = [];
      while (now() < from) await sleep(5);
      for (const end = now() + ms; now() < end;) {
        const one = await openOn(backendOf(url), "churn", { namespace });
        const grant = await one.take(name);
        tokens.push(grant.token);
        // Refused where another holder has put one.
        fs.writeFileSync(marker, "", { flag: "wx" });
        await sleep(1);
        fs.unlinkSync(marker);
        if (!await grant.release()) throw new Error(`Cannot release ${grant.token}: it is gone`);
        await one.close();
      }
      return tokens;
    },
    /** Runs a command where this process is, which may see another file system than the test does. */
    shell: (command: string) => execSync(command, { encoding: "utf8" }).trim(),
    /** A child that outlives us, up to a minute. */
    spawn() {
      const child = spawn("sleep", ["60"], { stdio: "ignore", detached: true });
      child.unref();
      return child.pid;
    },
    /** Takes and releases from `from` on for `ms`; answers the tokens in order. */
    async contend(name: string, { ms, from }: { ms: number; from: number }) {
      while (now() < from) await sleep(5);
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
