/** An acquire and its release, alone, on each backend: `deno bench -A bench/`. */
import { getCoordinator } from "../mod.ts";
import { BACKENDS, isAvailable } from "./backends.ts";

for (const backend of BACKENDS.filter(isAvailable)) {
  const server = await backend.start();
  const coord = await getCoordinator(server.url);
  const lock = coord.lock("bench");
  globalThis.addEventListener("unload", () => void server.stop());

  Deno.bench({
    name: backend.name,
    group: "acquire + release",
    async fn() {
      const lease = await lock.acquire();
      await lease.release();
    },
  });
}
