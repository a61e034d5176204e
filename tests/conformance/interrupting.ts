import type { Proxied, Stage } from "./suite.ts";

/** What is held back comes so much later, in ms: within the time that a call has. */
const LATE = 300;

/** More requests than one operation has on any backend, a reconnect's included. */
export const STEPS = 4;

/**
 * Loses the answer of the `step`th request from now on, counted from 0, with its connection; the returned function gives
 * that up. A session that is `kept` and is its connection gets the answer late instead.
 */
export function loseAnswer(stage: Stage, { proxy }: Proxied, step: number, kept: boolean): () => void {
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
  return () => {
    over = true;
    proxy.forward();
  };
}
