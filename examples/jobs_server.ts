/**
 * A server of which several instances run. One of them leads, and it alone runs a job again and again, under a lock
 * whose token goes along with all that the job writes:
 *
 *     bun examples/jobs_server.ts --port 8081 --backend redis://127.0.0.1:6379      or: deno run -A, node
 *
 * `GET /health` says how this instance is. SIGTERM ends it in order: the next one leads at once. One that is killed is
 * followed as soon as the backend knows: see "a hold ends" in the README.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Coordinator, getCoordinator, type Leadership, type Lease } from "@tooz/coord";

/** The job and its latest run. */
class Jobs {
  /** While this instance leads. */
  leadership: Leadership | undefined;
  /** The token of the latest run. */
  token: bigint | undefined;
  readonly #coord: Coordinator;
  readonly #every: number;

  constructor(coord: Coordinator, every: number) {
    this.#coord = coord;
    this.#every = every;
  }

  /** Runs the job whenever this instance leads, until the signal aborts. */
  lead(signal: AbortSignal): Promise<void> {
    return this.#coord.election("jobs").lead(async (leadership) => {
      this.leadership = leadership;
      try {
        await this.#repeat(leadership.signal);
      } finally {
        this.leadership = undefined;
      }
    }, { signal });
  }

  async #repeat(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#coord.lock("report").use((lease) => this.#report(lease), { signal });
      } catch (error) {
        // Whoever leads then, the next run does the work.
        if (!signal.aborted) console.error(`A run failed: ${error}`);
      }
      await sleep(this.#every, undefined, { signal }).catch(() => {}); // The loop looks at the signal.
    }
  }

  /**
   * What there is to do: here it is only said. What a job writes to a database goes with the token, as in `update … where
   * token <= $token`: a run that was stopped in its midst, and goes on when another has begun, then changes nothing.
   */
  async #report({ token, signal }: Lease): Promise<void> {
    signal.throwIfAborted();
    console.log(`The report is written with token ${token}`);
    this.token = token;
    await sleep(10, undefined, { signal });
  }
}

/** Answers whoever watches over the instances. */
function serveHealth(coord: Coordinator, jobs: Jobs): Server {
  return createServer(({ url }, response) => {
    if (url !== "/health") return void response.writeHead(404).end();
    const { memberId, state } = coord;
    const [leads, token] = [jobs.leadership?.signal.aborted === false, jobs.token?.toString() ?? null];
    response.writeHead(state === "connected" ? 200 : 503, { "content-type": "application/json" });
    response.end(JSON.stringify({ memberId, state, leads, token }));
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      backend: { type: "string", default: "file:" },
      every: { type: "string", default: "10000" },
      port: { type: "string", default: "0" },
    },
  });
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort(new Error(name)));
  try {
    // At the end it is closed, with all that is still held.
    await using coord = await getCoordinator(values.backend, { signal: stop.signal });
    const jobs = new Jobs(coord, Number(values.every));
    const server = serveHealth(coord, jobs);
    server.listen(Number(values.port), "127.0.0.1", () => {
      // It listens on TCP.
      console.log(`Listening on http://127.0.0.1:${(server.address() as AddressInfo).port}/health`);
    });
    try {
      await jobs.lead(stop.signal);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  } catch (error) {
    if (error !== stop.signal.reason) throw error;
    console.log(`Ended by ${stop.signal.reason.message}`);
  }
}

await main();
