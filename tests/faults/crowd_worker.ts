// A process that holds many locks, and takes and gives back others all the time.
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { getCoordinator, type Lease } from "../../mod.ts";
import { serve } from "../processes/serve.ts";
import type { Turn } from "../conformance/remote.ts";

const { url, options } = JSON.parse(process.env.COORD_WORKER ?? "{}");
const coordinator = await getCoordinator(url, options);
const held: Lease[] = [];
let pending: Promise<Lease> | undefined;

/** What is asked of one who roams: among so many names, for how long, and how long each lock is held, in ms. */
export interface Roaming {
  readonly names: number;
  readonly ms: number;
  readonly hold: number;
}

/** Takes one of the locks after the other; turns by the names. */
async function roam({ names, ms, hold }: Roaming): Promise<[string, Turn][]> {
  const [turns, until]: [[string, Turn][], number] = [[], performance.now() + ms];
  while (performance.now() < until) {
    const name = `shared-${Math.floor(Math.random() * names)}`;
    const lease = await coordinator.lock(name).acquire();
    const from = Date.now();
    await pause(hold);
    const to = Date.now();
    await lease.release();
    turns.push([name, { member: coordinator.memberId, token: lease.token, from, to }]);
  }
  return turns;
}

await serve({
  methods: {
    hold: async (count: number) => {
      for (let i = 0; i < count; i++) {
        held.push(await coordinator.lock(`${coordinator.memberId}-${i}`).acquire());
      }
    },
    held: () => held.filter(({ signal }) => !signal.aborted).length,
    roam,
    wait: (name: string) => void (pending = coordinator.lock(name).acquire()),
    granted: async () => {
      const lease = await pending;
      const at = Date.now();
      await lease?.release();
      return at;
    },
  },
  close: () => coordinator.close(),
});
