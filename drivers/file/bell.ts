import { Buffer } from "node:buffer";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Clock } from "../../driver.ts";
import type { LockFile } from "../../internal/platform/flock.ts";
import { subscribe } from "./subscribe.ts";

/** What a ring is about: `wait`: try again; `hold`: was it broken?; `member`: was it replaced or removed? */
export type Reason = "wait" | "hold" | "member";

/** Called for each ring; without a key it may be about anything. */
export type Ring = (reason: Reason | undefined, key: string | undefined) => void;

/** Beyond this many bytes the file is emptied. */
const FULL = 1 << 18;

const { O_WRONLY, O_APPEND } = fs.constants;

/**
 * Rings a session: appends a line to its file, which its process watches. What cannot be rung, on a full disk or out of
 * descriptors, finds out by itself: who waits looks from time to time, who holds at the next beat.
 */
export function ring(sessions: string, sid: string, message: { reason: Reason; key: string }): void {
  try {
    // Without O_CREAT: a file made here would be of nobody.
    const fd = fs.openSync(path.join(sessions, sid), O_WRONLY | O_APPEND);
    try {
      fs.writeSync(fd, `${message.reason} ${message.key}\n`);
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    // As said above; or the session is no more.
  }
}

/** Hears the rings of one session. */
export class Bell {
  readonly #path: string;
  readonly #file: LockFile;
  readonly #ring: Ring;
  readonly #unsubscribe: () => void;
  #at = 0;
  #cut = "";

  /** `touched` is called when the file changed without a ring: it may have been removed. */
  constructor(path: string, file: LockFile, options: { clock: Clock; ring: Ring; touched: () => void }) {
    this.#path = path;
    this.#file = file;
    this.#ring = options.ring;
    this.#unsubscribe = subscribe(path, options.clock, () => {
      try {
        if (!this.drain()) options.touched();
      } catch {
        // Nobody is here to be told; the next beat meets it again.
      }
    });
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

  close(): void {
    this.#unsubscribe();
  }

  #hear(text: string): void {
    const lines = text.split("\n");
    this.#cut = lines.pop() ?? "";
    for (const line of lines) {
      const [reason, key] = line.split(" ");
      if (reason === "wait" || reason === "hold" || reason === "member") this.#tell(reason, key);
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
    fs.truncateSync(this.#path, 0);
    this.#at = 0;
    this.#cut = "";
    this.#tell(undefined, undefined);
  }
}
