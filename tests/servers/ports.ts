import { createServer } from "node:net";

/** Below the range that the system takes outgoing connections from, else a client's own port could be in the way. */
const LOWEST = 12_000;
const HIGHEST = 32_000;

const given = new Set<number>();

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * A port of 127.0.0.1 that nobody listens on, and that this process was not given before. Random, not counted up:
 * test processes that run side by side share no counter.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (given.has(port)) continue;
    given.add(port);
    if (await canBind(port)) return port;
  }
  throw new Error("Cannot find a free port: 1000 random ones are taken");
}

/** Several ports at once, for a server that listens on more than one. */
export function freePorts(count: number): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, freePort));
}
