import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { commandFor, type Runtime } from "../../processes/runtimes.ts";
import type { Case, Stage } from "../suite.ts";
import { after, within } from "../waiting.ts";

const SCRIPT = new URL("./alive.ts", import.meta.url);

/** Starts a program with one coordinator; resolves once that is open, or open and closed again. */
async function start(
  stage: Stage,
  runtime: Runtime,
  close: boolean,
): Promise<{ ended: Promise<number | null> }> {
  const options = { namespace: stage.name("alive"), ttl: 15_000 };
  const [file = "", ...args] = commandFor(runtime, SCRIPT);
  const child = spawn(file, args, {
    env: { ...process.env, COORD_ALIVE: JSON.stringify({ url: stage.url, options, close }) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  stage.defer(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const ready = new Promise<void>((resolve) => child.stdout.once("data", () => resolve()));
  const code = await within(Promise.race([ready, ended]), "the program has opened its coordinator");
  assert.equal(code, undefined, "the program ended before");
  return { ended };
}

export const lifetimes: readonly Case[] = (["deno", "bun", "node"] as const).map((runtime) => ({
  name: `an open coordinator keeps a process of ${runtime} alive, a closed one does not`,
  holds: ["S15", "S13"],
  async run(stage) {
    const [open, closed] = await Promise.all([start(stage, runtime, false), start(stage, runtime, true)]);
    assert.equal(await within(closed.ended, "the process ends by itself"), 0);
    assert.equal(await after(300, open.ended), "pending");
  },
}));
