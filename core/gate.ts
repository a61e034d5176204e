import type { Grant, Kind, Mode, Target } from "../driver.ts";
import type { CoordError } from "./errors.ts";
import { Hold } from "./hold.ts";
import type { Tenure } from "./tenure.ts";
import { type Entrant, Turn } from "./turn.ts";

/** A place in the line: `hold` rejects or resolves once; `leave` gives it up. */
export interface Place {
  readonly hold: Promise<Hold | undefined>;
  /** Resolves once nothing of the place is left at the backend. */
  leave(reason: unknown): Promise<void>;
}

/** Where those go who would have to wait and do not. */
export const NOWHERE: Place = { hold: Promise.resolve(undefined), leave: () => Promise.resolve() };

function turnedAway(reason: CoordError): Place {
  const hold = Promise.reject<Hold | undefined>(reason);
  hold.catch(() => {}); // Who came may have left already.
  return { hold, leave: () => Promise.resolve() };
}

/** All gates of one tenure. */
export class GateKeeper {
  readonly #tenure: Tenure;
  readonly #gates = new Map<string, Gate>();
  /** Why nobody is let in any more. */
  #closed: CoordError | undefined;

  constructor(tenure: Tenure) {
    this.#tenure = tenure;
  }

  /** Queues for a lock; the gate lives as long as somebody waits or holds. */
  enter(target: Target, entrant: Entrant): Place {
    if (this.#closed) return turnedAway(this.#closed);
    const key = `${target.kind}:${target.name}`;
    let gate = this.#gates.get(key);
    if (!gate) {
      const made: Gate = gate = new Gate(this.#tenure, target, {
        again: (entrant) => this.enter(target, entrant),
        idle: () => {
          if (this.#gates.get(key) === made) this.#gates.delete(key);
        },
      });
      this.#gates.set(key, made);
    }
    return gate.enter(entrant);
  }

  /** Whether a token is that of a hold of ours. */
  holds({ kind, name }: Target, token: bigint | undefined): boolean {
    return this.#gates.get(`${kind}:${name}`)?.holds(token) ?? false;
  }

  /** Rejects all who wait, and all who come. */
  close(reason: CoordError): void {
    if (this.#closed) return;
    this.#closed = reason;
    for (const gate of this.#gates.values()) gate.turnAway(reason);
  }
}

/**
 * The line of one coordinator for one lock. Callers queue here, one attempt at a time waits at the backend, and the
 * next goes there once that is granted: so callers are served in their order, and between coordinators round-robin.
 */
class Gate {
  readonly #tenure: Tenure;
  readonly #kind: Kind;
  readonly #name: string;
  readonly #again: (entrant: Entrant) => Place;
  readonly #idle: () => void;
  readonly #queue: Turn[] = [];
  readonly #holds = new Set<Hold>();
  #running: Turn | undefined;

  /** @param keeper how to enter again, since this gate may be forgotten by then; and how to be forgotten */
  constructor(
    tenure: Tenure,
    target: Target,
    keeper: { again: (entrant: Entrant) => Place; idle: () => void },
  ) {
    this.#tenure = tenure;
    this.#kind = target.kind;
    this.#name = target.name;
    this.#again = keeper.again;
    this.#idle = keeper.idle;
  }

  enter(entrant: Entrant): Place {
    // Who comes later than the grant asks the backend, also beside a hold of our own: a writer elsewhere may be waiting.
    const last = this.#queue.at(-1);
    if (entrant.mode === "shared" && entrant.wait && last?.open) return this.#join(last);
    if (!entrant.wait && this.#queue.length > 0) return this.#joinTry(entrant.mode);
    if (!entrant.wait && this.#conflicts(entrant.mode)) return this.#doubt(entrant);
    const turn = new Turn(entrant);
    this.#queue.push(turn);
    const place = this.#join(turn);
    this.#pump();
    return place;
  }

  /** Readers that try at once share one attempt; else somebody is before who tries. */
  #joinTry(mode: Mode): Place {
    const [only, ...more] = this.#queue;
    const isWanted = only !== undefined && only.callers > 0 && more.length === 0;
    const isShared = isWanted && mode === "shared" && only.mode === "shared" && !only.wait;
    return isShared ? this.#join(only) : NOWHERE;
  }

  /** A hold of our own is in the way; it may have been broken without our knowledge, so the backend is asked. */
  #doubt(entrant: Entrant): Place {
    let place: Place = NOWHERE;
    let left = false;
    const look = async () => {
      await Promise.all([...this.#holds].map((hold) => hold.check()));
      if (!left && !this.#conflicts(entrant.mode)) place = this.#again(entrant);
      return await place.hold;
    };
    return {
      hold: look(),
      leave: (reason) => {
        left = true;
        return place.leave(reason);
      },
    };
  }

  holds(token: bigint | undefined): boolean {
    return [...this.#holds].some((hold) => hold.grant.token === token);
  }

  turnAway(reason: CoordError): void {
    for (const turn of [...this.#queue]) this.#drop(turn, reason);
  }

  #join(turn: Turn): Place {
    turn.callers++;
    return { hold: turn.settled.promise, leave: (reason) => this.#leave(turn, reason) };
  }

  async #leave(turn: Turn, reason: unknown): Promise<void> {
    turn.callers--;
    if (turn.hold) return void await turn.hold.leave();
    if (turn.callers > 0) return;
    this.#drop(turn, reason);
    if (turn === this.#running) await (turn.done ??= Promise.withResolvers()).promise;
  }

  /** Nobody wants this turn any more. */
  #drop(turn: Turn, reason: unknown): void {
    turn.open = false;
    turn.settled.reject(reason);
    turn.abort.abort(reason);
    if (turn === this.#running) return;
    const at = this.#queue.indexOf(turn);
    if (at >= 0) this.#queue.splice(at, 1);
    this.#rest();
  }

  #pump(): void {
    const turn = this.#queue[0];
    if (turn === undefined || this.#running !== undefined) return;
    this.#running = turn;
    void this.#run(turn);
  }

  async #run(turn: Turn): Promise<void> {
    try {
      const grant = await this.#tenure.session.locks.acquire({
        id: this.#tenure.attemptId(),
        kind: this.#kind,
        name: this.#name,
        mode: turn.mode,
        wait: turn.wait,
        value: turn.value,
        signal: turn.abort.signal,
      });
      if (grant === undefined) turn.settled.resolve(undefined);
      else this.#granted(turn, grant);
    } catch (error) {
      turn.settled.reject(this.#tenure.check() ? error : this.#tenure.signal.reason);
    }
    this.#queue.splice(this.#queue.indexOf(turn), 1);
    this.#running = undefined;
    turn.done?.resolve();
    this.#pump();
    this.#rest();
  }

  #granted(turn: Turn, grant: Grant): void {
    const wanted = !turn.abort.signal.aborted;
    const hold = new Hold(this.#tenure, grant, turn.mode, wanted ? turn.callers : 1, (gone) => {
      this.#holds.delete(gone);
      this.#rest();
    });
    // The answer may have come after a stall that outlived the session.
    if (!hold.live) return turn.settled.reject(this.#tenure.signal.reason ?? grant.lost.reason);
    this.#holds.add(hold);
    if (!wanted) {
      // All callers left while the grant was on its way; an outcome that is unknown is followed up by the hold.
      void hold.leave().catch(() => {});
      return;
    }
    turn.hold = hold;
    turn.settled.resolve(hold);
  }

  #conflicts(mode: Mode): boolean {
    return [...this.#holds].some((hold) => mode === "exclusive" || hold.mode === "exclusive");
  }

  /** A gate that nobody uses is forgotten. */
  #rest(): void {
    if (this.#queue.length === 0 && this.#holds.size === 0) this.#idle();
  }
}
