// jobs_server.ts as an operator sees it: instances are started, asked for their health, and ended.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { eventually, within } from "../tests/conformance/waiting.ts";
import { commandFor, currentRuntime } from "../tests/processes/runtimes.ts";
import { hasServer } from "../tests/servers/available.ts";
import { startRedis } from "../tests/servers/redis.ts";

interface Health {
  readonly memberId: string;
  readonly state: string;
  readonly leads: boolean;
  readonly token: string | null;
}

/** A running server. */
class Instance implements AsyncDisposable {
  said = "";
  readonly #child: ChildProcess;
  #isOver = false;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;

  constructor(backend: string) {
    const script = new URL("jobs_server.ts", import.meta.url);
    const [file = "", ...args] = commandFor(currentRuntime, script, ["--backend", backend, "--every", "50"]);
    this.#child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (bytes: Uint8Array) => this.said += new TextDecoder().decode(bytes));
    }
    this.ended = new Promise((resolve) =>
      this.#child.once("close", (code, signal) => {
        this.#isOver = true;
        resolve(code ?? signal);
      })
    );
  }

  health(): Promise<Health> {
    return eventually(async () => {
      const [url] = /http:\S+/.exec(this.said) ?? [];
      assert.ok(url, `it listens: ${this.said}`);
      return await (await fetch(url, { headers: { connection: "close" } })).json();
    });
  }

  /** Its health once it leads and has run the job with another token than that one. */
  leading(before = "0"): Promise<Health> {
    return eventually(async () => {
      const health = await this.health();
      return health.leads && health.token !== null && BigInt(health.token) > BigInt(before) && health;
    }) as Promise<Health>;
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number | string | null> {
    // Not through the child, whose end Deno would tell before it has come.
    if (this.#child.pid !== undefined) process.kill(this.#child.pid, signal);
    return await within(this.ended, `it ends: ${this.said}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOver) await this.end("SIGKILL");
  }
}

/** Which of two leads, and which waits. */
async function ranks(one: Instance, two: Instance): Promise<[Instance, Instance]> {
  const leads = await eventually(async () => {
    const [first, second] = await Promise.all([one.health(), two.health()]);
    assert.ok(!first.leads || !second.leads, "one leads at most");
    return first.leads ? one : second.leads && two;
  });
  return leads === one ? [one, two] : [two, one as Instance];
}

test(
  "an instance that is told to end lets go of all, long before a ttl",
  { skip: !hasServer("redis-server"), timeout: 60_000 },
  async () => {
    await using server = await startRedis();
    await using one = new Instance(server.url);
    await using two = new Instance(server.url);
    const [leader, other] = await ranks(one, two);
    const { state, token } = await leader.leading();
    assert.equal(state, "connected");
    assert.equal((await other.health()).leads, false);
    assert.equal(await leader.end("SIGTERM"), 0);
    assert.match(leader.said, /Ended by SIGTERM\s*$/);
    // Sooner than the session of 30 s would have ended by itself.
    await other.leading(token ?? "");
    assert.equal(await other.end("SIGTERM"), 0);
  },
);

test(
  "an instance that is killed is followed by the next, with greater tokens",
  { timeout: 60_000 },
  async () => {
    const dir = mkdtempSync(join(tmpdir(), "coord-jobs-"));
    try {
      await using one = new Instance(`file://${dir}`);
      await using two = new Instance(`file://${dir}`);
      const [leader, other] = await ranks(one, two);
      const { memberId, token } = await leader.leading();
      assert.equal(await leader.end("SIGKILL"), "SIGKILL");
      const next = await other.leading(token ?? "");
      assert.notEqual(next.memberId, memberId);
      await using third = new Instance(`file://${dir}`);
      assert.equal((await third.health()).leads, false);
      assert.equal(await other.end("SIGTERM"), 0);
      await third.leading(next.token ?? "");
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
