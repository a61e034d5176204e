import { Buffer } from "node:buffer";
import * as path from "node:path";
import type { LockFile } from "../platform/flock.ts";
import type { Disk } from "./disk.ts";

/**
 * What a ring is about: `wait`: try again; `hold`: was it broken?; `member`: was it replaced or removed?; `watch`: what
 * is watched has changed.
 */
export type Reason = "wait" | "hold" | "member" | "watch";

const REASONS: readonly string[] = ["wait", "hold", "member", "watch"] satisfies Reason[];

/** Called for each ring; without a key it may be about anything. */
export type Ring = (reason: Reason | undefined, key: string | undefined) => void;

/** Beyond this many bytes the file is emptied. */
const FULL = 1 << 18;

/**
 * Leaves a message for a session: a line in its file, which its process reads when it is woken. What cannot be written,
 * on a full disk or out of descriptors, is found out without: who waits looks from time to time, who holds at the next
 * beat.
 */
export function post(disk: Disk, sessions: string, to: { sid: string; reason: Reason; key: string }): void {
  try {
    disk.append(path.join(sessions, to.sid), `${to.reason} ${to.key}\n`);
  } catch {
    // As said above; or the session is no more.
  }
}

/** Hears the rings of one session. */
export class Bell {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #file: LockFile;
  readonly #ring: Ring;
  #at = 0;
  #cut = "";

  constructor(disk: Disk, session: { path: string; file: LockFile }, ring: Ring) {
    this.#disk = disk;
    this.#path = session.path;
    this.#file = session.file;
    this.#ring = ring;
  }

  /** Hears what has not been heard yet; answers whether there was something. */
  drain(): boolean {
    const bytes = Buffer.allocUnsafe(4096);
    let heard = false;
    for (;;) {
      const length = this.#file.read(bytes, this.#at);
      if (length === 0) break;
      heard = true;
      this.#at += length;
      this.#hear(this.#cut + bytes.toString("latin1", 0, length));
    }
    if (this.#at > FULL) this.#empty();
    return heard;
  }

  #hear(text: string): void {
    const lines = text.split("\n");
    this.#cut = lines.pop() ?? "";
    for (const line of lines) {
      const [reason, key] = line.split(" ");
      if (isReason(reason)) this.#tell(reason, key);
    }
  }

  #tell(reason: Reason | undefined, key: string | undefined): void {
    try {
      this.#ring(reason, key);
    } catch {
      // The rings after it count as well; the next beat meets what failed again.
    }
  }

  /** A ring between the last read and the cut would be lost, hence the one about everything. */
  #empty(): void {
    this.#disk.truncate(this.#path);
    this.#at = 0;
    this.#cut = "";
    this.#tell(undefined, undefined);
  }
}

function isReason(word: string | undefined): word is Reason {
  return word !== undefined && REASONS.includes(word);
}
