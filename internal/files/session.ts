import * as path from "node:path";
import { SessionLostError } from "../../core/errors.ts";
import type { Clock, OpenOptions, Session } from "../../driver.ts";
import { isSame, type LockFile, type Platform } from "../platform/flock.ts";
import { Bell } from "./bell.ts";
import type { Context, Wires } from "./context.ts";
import { type Disk, ensureDirectory, removeFile } from "./disk.ts";
import { type Epoch, joinEpoch } from "./epoch.ts";
import type { Failures } from "./failure.ts";
import { FileGroups } from "./groups.ts";
import type { Layout } from "./layout.ts";
import { isAlive, sweep } from "./liveness.ts";
import { FileLocks } from "./locks.ts";

/** What a session is made of. */
interface Parts {
  readonly platform: Platform;
  readonly disk: Disk;
  readonly wires: Wires;
  readonly failures: Failures;
  readonly clock: Clock;
  readonly fineTime: () => number;
  readonly layout: Layout;
  readonly options: OpenOptions;
}

/** Opens a session: joins the epoch, makes a file and keeps it locked. */
export async function openSession(parts: Parts): Promise<Session> {
  const { platform, disk, failures, clock, layout, options } = parts;
  const { timeout, signal } = options;
  let epoch: Epoch | undefined;
  try {
    epoch = await joinEpoch(layout.epoch, { platform, failures, clock, timeout, signal });
    // Now that nobody removes it any more.
    for (const part of ["sessions", "locks", "elections", "groups"] as const) {
      ensureDirectory(disk, layout[part]);
    }
    sweep(platform, disk, layout.sessions);
    return new FileSession(parts, epoch, createFile(parts));
  } catch (error) {
    epoch?.file.close();
    if (error === signal.reason) throw error;
    throw failures.explain(`open a session in ${JSON.stringify(layout.root)}`, error);
  }
}

/** A new session file, locked. */
function createFile(
  { platform, failures, wires, layout: { sessions } }: Parts,
): { sid: string; file: LockFile } {
  for (let i = 0; i < 100; i++) {
    const sid = wires.newSid();
    const place = path.join(sessions, sid);
    const file = platform.open(place, "create");
    // Somebody who sweeps may have come between the two, and taken it for a dead one.
    if (file.tryLock(true) && isSame(file.identity(), platform.identify(place))) return { sid, file };
    file.close();
  }
  throw failures.refuse(`lock a file in ${JSON.stringify(sessions)}`, "others take each for a dead one");
}

/** A session: one file, locked for as long as it lives, by which others tell that it does and ring it. */
class FileSession implements Session {
  readonly ttl: number;
  readonly ends = "kernel";
  readonly locks: FileLocks;
  readonly groups: FileGroups;
  readonly #lost = new AbortController();
  readonly #ended = new AbortController();
  readonly #context: Context;
  readonly #file: LockFile;
  readonly #path: string;
  readonly #epoch: Epoch;
  readonly #bell: Bell;
  readonly #stopListening: () => void;
  #closing: Promise<void> | undefined;
  /** Cancels that it is closed after a while. */
  #closeLater: () => void = () => {};

  constructor(
    { options, ...means }: Parts,
    epoch: Epoch,
    { sid, file }: { sid: string; file: LockFile },
  ) {
    const { platform, disk, wires, layout } = means;
    let count = 0;
    this.ttl = options.ttl;
    this.#epoch = epoch;
    this.#file = file;
    this.#path = path.join(layout.sessions, sid);
    this.#context = {
      ...means,
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
    };
    this.locks = new FileLocks(this.#context);
    this.groups = new FileGroups(this.#context);
    this.#bell = new Bell(disk, { path: this.#path, file }, (reason, key) => {
      if (reason === undefined || reason === "watch") wires.hear(key);
      if (reason === "watch") return;
      if (reason !== "member") this.locks.hear(reason, key);
      if (reason === undefined || reason === "member") this.groups.hear(key);
    });
    this.#stopListening = wires.listen(this.#path, () => this.#hear());
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  beat(): Promise<void> {
    return Promise.try(() => {
      if (this.#ended.signal.aborted) throw this.#ended.signal.reason;
      this.#context.failures.attempt("look after the session", () => {
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

  /** The kernel frees what is locked once it is closed: not yet. */
  abandon(until: number): void {
    const { clock } = this.#context;
    this.#closeLater = clock.after(until - clock.now(), () => void this.close());
  }

  #hear(): void {
    try {
      if (!this.#bell.drain()) this.#verify();
    } catch {
      // Nobody is here to be told; the next beat meets it again.
    }
  }

  /** The file may have been removed, and with it every proof that we live. */
  #verify(): void {
    if (this.#ended.signal.aborted) return;
    const { platform, wires, failures: { driver } } = this.#context;
    const isThere = isSame(this.#file.identity(), platform.identify(this.#path));
    const missing = isThere ? wires.missing() : this.#path;
    if (missing === undefined) return;
    const message = `Lost the session: its file ${JSON.stringify(missing)} was removed`;
    const error = new SessionLostError(message, { driver });
    this.#ended.abort(error);
    this.#lost.abort(error);
  }

  async #close(): Promise<void> {
    this.#closeLater();
    const { disk, wires, failures: { driver } } = this.#context;
    this.#ended.abort(new SessionLostError("Cannot use the session: it was closed", { driver }));
    this.#stopListening();
    this.locks.close();
    await this.groups.close();
    try {
      removeFile(disk, this.#path);
    } catch {
      // Unlocked, it counts as dead, and somebody sweeps it away.
    }
    this.#file.unlock();
    this.#file.close();
    await wires.leave(this.#epoch.file);
    this.#epoch.file.unlock();
    this.#epoch.file.close();
  }
}
