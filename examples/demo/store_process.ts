import { Child, currentRuntime } from "./child.ts";
import type { StoreEvent, StoreSettings } from "./messages.ts";

/** Starts the process that owns the output, and resolves when workers can reach it. */
export async function startStore(
  settings: StoreSettings,
  hear: (event: StoreEvent) => void,
): Promise<Disposable & { readonly port: number; readonly ended: Promise<number | string> }> {
  const listening = Promise.withResolvers<number>();
  const child = new Child<StoreEvent>(currentRuntime(), "./store_main.ts", settings, (event) => {
    if (event.type === "listening") listening.resolve(event.port);
    else hear(event);
  });
  void child.ended.then((how) => listening.reject(new Error(`Cannot start the store: it ended with ${how}`)));
  return { port: await listening.promise, ended: child.ended, [Symbol.dispose]: () => child.end() };
}
