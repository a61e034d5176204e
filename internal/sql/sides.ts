import { CapacityError, ConnectionError } from "../../core/errors.ts";
import type { Clock } from "../../driver.ts";
import { reasonOf } from "../reason.ts";
import { failureOf } from "./failure.ts";
import type { Side } from "./store.ts";

/** A connection that nothing waits on is closed after so many ms. */
const IDLE = 10_000;

/** What connections that wait are opened with. */
export interface SidesOptions {
  readonly clock: Clock;
  readonly driver: string;
  /** Where the server is, for errors. */
  readonly location: string;
  /** So many waits a session may have under way at once. */
  readonly most: number;
  open(): Promise<Side>;
}

/** The connections of a session that wait in the server, opened when they are needed. */
export class Sides {
  readonly #options: SidesOptions;
  /** With the way to keep each from being closed, the one used last at the end. */
  readonly #idle = new Map<Side, () => void>();
  readonly #busy = new Set<Side>();
  #opening = 0;
  #isOver = false;

  constructor(options: SidesOptions) {
    this.#options = options;
  }

  /**
   * A connection for one wait.
   * @throws {CapacityError} when too many wait already, or the server has no room for one more
   * @throws {ConnectionError} when it cannot be opened
   */
  async take(): Promise<Side> {
    for (const [side, keep] of [...this.#idle].reverse()) {
      keep();
      this.#idle.delete(side);
      if (!side.isOpen) continue;
      this.#busy.add(side);
      return side;
    }
    const { driver, most } = this.#options;
    if (this.#busy.size + this.#opening >= most) {
      const message = `Cannot wait for a lock on one more connection: the ${most} that option "maxWaiting" ` +
        "allows this coordinator are waiting; raise it, and what the server allows with it";
      throw new CapacityError(message, { driver });
    }
    return await this.#open();
  }

  async #open(): Promise<Side> {
    this.#opening++;
    try {
      const side = await this.#options.open();
      this.#busy.add(side);
      if (this.#isOver) side.destroy();
      return side;
    } catch (cause) {
      if (cause instanceof ConnectionError) throw cause;
      const { driver, location } = this.#options;
      const message = `Cannot open a connection to wait on at "${location}": ${reasonOf(cause)}`;
      throw failureOf(cause, { message, driver });
    } finally {
      this.#opening--;
    }
  }

  /** Ends a wait; resolves once nothing is held on the connection any more. */
  async give(side: Side): Promise<void> {
    try {
      if (side.isOpen) await side.free();
    } catch {
      side.destroy(); // The server gives back what it held.
    }
    this.#busy.delete(side);
    if (this.#isOver) return side.destroy();
    if (!side.isOpen) return;
    const close = () => {
      this.#idle.delete(side);
      side.destroy();
    };
    this.#idle.set(side, this.#options.clock.after(IDLE, close));
  }

  /** Closes them all; waits that are under way reject. */
  destroy(): void {
    this.#isOver = true;
    for (const [side, keep] of this.#idle) {
      keep();
      side.destroy();
    }
    this.#idle.clear();
    for (const side of this.#busy) side.destroy();
  }
}
