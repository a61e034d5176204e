// Many coordinators in one process, which all wait for one lock.
import process from "node:process";
import { type Coordinator, getCoordinator, type Lease } from "../../mod.ts";
import { serve } from "../processes/serve.ts";

const { url, options } = JSON.parse(process.env.COORD_WORKER ?? "{}");
const coordinators: Coordinator[] = [];
const held: Lease[] = [];
let grants = 0;

await serve({
  methods: {
    open: async (count: number) => {
      for (let i = 0; i < count; i++) coordinators.push(await getCoordinator(url, options));
    },
    wait: (name: string) => {
      for (const coordinator of coordinators) {
        void coordinator.lock(name).acquire().then((lease) => {
          grants++;
          held.push(lease);
        });
      }
    },
    grants: () => grants,
    release: async () => {
      for (const lease of held.splice(0)) await lease.release();
    },
  },
  close: async () => void await Promise.all(coordinators.map((coordinator) => coordinator.close())),
});
