import { randomBytes } from "node:crypto";
import * as path from "node:path";
import { ConnectionError, SessionLostError } from "../../core/errors.ts";
import type { Clock, OpenOptions, Session } from "../../driver.ts";
import { isSame, type LockFile, type Platform } from "../../internal/platform/flock.ts";
import { Bell, ring } from "./bell.ts";
import type { Context } from "./context.ts";
import { type Layout, removeFile } from "./directory.ts";
import { type Epoch, joinEpoch } from "./epoch.ts";
import { attempt, DRIVER, fail } from "./failure.ts";
import { FileGroups } from "./groups.ts";
import { isAlive, sweep } from "./liveness.ts";
import { FileLocks } from "./locks.ts";

/** What a session is made of. */
interface Parts {
  readonly platform: Platform;
  readonly clock: Clock;
  readonly layout: Layout;
  readonly options: OpenOptions;
}

/** Opens a session: joins the epoch, makes a file and keeps it locked. */
export async function openSession(parts: Parts): Promise<Session> {
  const { platform, clock, layout, options } = parts;
  const { timeout, signal } = options;
  let epoch: Epoch | undefined;
  try {
    epoch = await joinEpoch(layout.epoch, { platform, clock, timeout, signal });
    sweep(platform, layout.sessions);
    return new FileSession(parts, epoch, createFile(platform, layout.sessions));
  } catch (error) {
    epoch?.file.close();
    throw error === signal.reason ? error : fail(`open a session in ${JSON.stringify(layout.root)}`, error);
  }
}

/** A new session file, locked. */
function createFile(platform: Platform, sessions: string): { sid: string; file: LockFile } {
  for (let i = 0; i < 100; i++) {
    const sid = randomBytes(12).toString("hex");
    const place = path.join(sessions, sid);
    const file = platform.open(place, "create");
    // Somebody who sweeps may have come between the two, and taken it for a dead one.
    if (file.tryLock(true) && isSame(file.identity(), platform.identify(place))) return { sid, file };
    file.close();
  }
  throw new ConnectionError(`Cannot lock a file in ${JSON.stringify(sessions)}`, { driver: DRIVER });
}

/** A session: one file, locked for as long as it lives, by which others tell that it does and ring it. */
class FileSession implements Session {
  readonly ttl: number;
  readonly expires = false;
  readonly locks: FileLocks;
  readonly groups: FileGroups;
  readonly #lost = new AbortController();
  readonly #ended = new AbortController();
  readonly #context: Context;
  readonly #file: LockFile;
  readonly #path: string;
  readonly #epoch: Epoch;
  readonly #bell: Bell;
  #closing: Promise<void> | undefined;

  constructor(
    { platform, clock, layout, options }: Parts,
    epoch: Epoch,
    { sid, file }: { sid: string; file: LockFile },
  ) {
    let count = 0;
    this.ttl = options.ttl;
    this.#epoch = epoch;
    this.#file = file;
    this.#path = path.join(layout.sessions, sid);
    this.#context = {
      platform,
      clock,
      layout,
      timeout: options.timeout,
      memberId: options.memberId,
      incarnation: options.incarnation,
      sid,
      epoch: epoch.id,
      ended: this.#ended.signal,
      unique: () => (count++).toString(36),
      verify: () => this.#verify(),
      isAlive: (other) =>
        other === sid ? !this.#ended.signal.aborted : isAlive(platform, layout.sessions, other),
      ring: (other, message) => ring(layout.sessions, other, message),
    };
    this.locks = new FileLocks(this.#context);
    this.groups = new FileGroups(this.#context);
    this.#bell = new Bell(this.#path, file, {
      clock,
      touched: () => this.#verify(),
      ring: (reason, key) => {
        if (reason !== "member") this.locks.hear(reason, key);
        if (reason === undefined || reason === "member") this.groups.hear(key);
      },
    });
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  beat(): Promise<void> {
    return Promise.try(() => {
      if (this.#ended.signal.aborted) throw this.#ended.signal.reason;
      attempt("look after the session", () => {
        this.#verify();
        if (this.#ended.signal.aborted) return;
        this.#bell.drain();
        this.locks.beat();
        this.groups.beat();
      });
    });
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** The file may have been removed, and with it every proof that we live. */
  #verify(): void {
    if (
      this.#ended.signal.aborted || isSame(this.#file.identity(), this.#context.platform.identify(this.#path))
    ) return;
    const error = new SessionLostError(
      `Lost the session: its file ${JSON.stringify(this.#path)} was removed`,
      {
        driver: DRIVER,
      },
    );
    this.#ended.abort(error);
    this.#lost.abort(error);
  }

  async #close(): Promise<void> {
    this.#ended.abort(new SessionLostError("Cannot use the session: it was closed", { driver: DRIVER }));
    this.#bell.close();
    this.locks.close();
    await this.groups.close();
    try {
      removeFile(this.#path);
    } catch {
      // Unlocked, it counts as dead, and somebody sweeps it away.
    }
    this.#file.unlock();
    this.#file.close();
    this.#epoch.file.unlock();
    this.#epoch.file.close();
  }
}
