import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import type { DriverFactory } from "../../driver.ts";
import { ipc } from "../../drivers/ipc.ts";
import { DATABASES } from "./databases.ts";

/** Where locks are that end with the process of their holder. */
interface Place extends AsyncDisposable {
  readonly url: string;
  /** Fails where more was left than there should be. */
  check?(namespace: string): Promise<void>;
}

/** A backend of which a killed process loses all at once. */
export interface Mortal {
  readonly factory: DriverFactory;
  readonly start: () => Promise<Place>;
  readonly kills: number;
  /** From a kill to the grant to the next, in ms: what is promised of it. */
  readonly limit: number;
}

/** How many that live there are: three wait, one observes. */
const LIVING = 4;

const IPC: Place = {
  url: "ipc:",
  check: (namespace) => {
    const sessions = readdirSync(`/dev/shm/tooz-coord-${namespace}/s`);
    const processes = new Set(sessions.map((session) => session.slice(0, 12)));
    const bells = readdirSync("/dev/shm").filter((name) =>
      processes.has(name.replace(/^sem\.tooz-coord-/, "").slice(0, 12))
    );
    assert.ok(
      sessions.length <= LIVING + 1 && bells.length <= LIVING + 1,
      `${sessions.length}, ${bells.length}`,
    );
    return Promise.resolve();
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** By the name of the backend in the conformance suite. */
export const MORTALS: Readonly<Record<string, Mortal>> = {
  ...Object.fromEntries(
    Object.entries(DATABASES).map(([name, { factory, server }]) => [
      name,
      { factory, start: server, kills: 51, limit: 250 },
    ]),
  ),
  ipc: { factory: ipc, start: () => Promise.resolve(IPC), kills: 201, limit: 100 },
};
