import type { Proxied, Stage } from "./suite.ts";

/** What is held back comes so much later, in ms: within the time that a call has. */
const LATE = 300;

/** An answer that is to be lost. */
export interface Loss {
  /** Ends it; says whether there was a request to lose the answer of. */
  stop(): boolean;
}

/**
 * Loses the answer of the `step`th request from now on, counted from 0, with its connection. A session that is `kept`
 * and is its connection gets the answer late instead.
 */
export function loseAnswer(stage: Stage, { proxy }: Proxied, step: number, kept: boolean): Loss {
  const from = proxy.traffic.requestChunks;
  let over = false;
  const lose = () => {
    if (!kept || !stage.has("bound")) return void proxy.dropAnswer();
    proxy.hold();
    setTimeout(() => over || proxy.forward(), LATE);
  };
  const watch = () => {
    if (over) return;
    if (proxy.traffic.requestChunks >= from + step) lose();
    else setImmediate(watch);
  };
  watch();
  return {
    stop() {
      over = true;
      proxy.forward();
      return proxy.traffic.requestChunks > from + step;
    },
  };
}
