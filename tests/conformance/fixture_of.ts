import type { Server } from "../servers/server.ts";
import { type Backend, findBackend } from "./deployments.ts";
import type { Fixture, ServerSettings } from "./suite.ts";

/** The fixture of a backend, such as `redis` or `redis_8_tls`. */
export async function fixtureOf(name: string): Promise<Fixture> {
  const backend = findBackend(name);
  if (!backend) throw new TypeError(`Cannot find backend "${name}": deployments.ts does not name it`);
  const { makeFixture }: { makeFixture: (backend: Backend) => Fixture } = await import(
    `./fixtures/${backend.driver}.ts`
  );
  return makeFixture(backend);
}

/** How to start what a backend runs on, of several ways. */
export function wayTo<T>(ways: Readonly<Record<string, T>>, { name, deployment }: Backend): T {
  const way = ways[deployment];
  if (way === undefined) throw new TypeError(`Cannot start "${name}": its fixture knows no "${deployment}"`);
  return way;
}

/** What a fixture has whose shared server is started as those of single cases are. */
export function served(
  start: (settings: ServerSettings) => Promise<Server>,
): Pick<Fixture, "start" | "server"> & { server: typeof start } {
  return {
    start: async () => {
      const server = await start({});
      return { url: server.url, server, stop: () => server.stop() };
    },
    server: start,
  };
}
