import type { Mode } from "../driver.ts";
import type { Hold } from "./hold.ts";

/** One who wants the lock. */
export interface Entrant {
  readonly mode: Mode;
  readonly wait: boolean;
  readonly value: string;
}

/** One attempt at the backend, and the callers whose wish it fulfils: one if exclusive, any number if shared. */
export class Turn {
  readonly mode: Mode;
  readonly wait: boolean;
  readonly value: string;
  readonly abort = new AbortController();
  readonly settled = Promise.withResolvers<Hold | undefined>();
  /** Resolves once the attempt has left the backend or was granted; made for one who waits for that. */
  done: PromiseWithResolvers<void> | undefined;
  callers = 0;
  /** Shared callers may still join. */
  open: boolean;
  hold: Hold | undefined;

  constructor(entrant: Entrant) {
    this.mode = entrant.mode;
    this.wait = entrant.wait;
    this.value = entrant.value;
    this.open = entrant.mode === "shared" && entrant.wait;
    this.settled.promise.catch(() => {}); // Callers that left are not there to hear it.
  }
}
