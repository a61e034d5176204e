import type { Socket } from "node:net";

/** When bytes may go on. Asked again and again, because a test changes its mind while bytes wait. */
export interface Gate {
  delay(): number;
  isHeld(): boolean;
  /** Not even the news that the other end is gone gets through. */
  isLost(): boolean;
}

const HOLD_CHECK = 5;

/** One direction of a proxied connection: keeps the order, and lets chunks wait. */
export class Pipe {
  readonly #to: Socket;
  readonly #gate: Gate;
  readonly #waiting: { chunk: Uint8Array; due: number }[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  constructor(from: Socket, to: Socket, passes: (chunk: Uint8Array) => boolean, gate: Gate) {
    this.#to = to;
    this.#gate = gate;
    from.on("data", (chunk: Uint8Array) => {
      if (!passes(chunk)) return;
      this.#waiting.push({ chunk, due: performance.now() + gate.delay() });
      this.#pump();
    });
    from.on("end", () => {
      this.#ended = true;
      this.#pump();
    });
    from.on("close", () => {
      // An orderly end is passed on after the last chunk; anything else at once, if at all.
      if (!this.#ended && !gate.isHeld() && !gate.isLost()) to.destroy();
    });
    to.on("close", () => clearTimeout(this.#timer));
  }

  #pump(): void {
    if (this.#timer !== undefined) return;
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const wait = this.#gate.isHeld() ? HOLD_CHECK : next.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = undefined;
          this.#pump();
        }, wait);
        return;
      }
      this.#to.write(next.chunk);
      this.#waiting.shift();
    }
    if (this.#ended && !this.#gate.isLost()) this.#to.end();
  }
}
