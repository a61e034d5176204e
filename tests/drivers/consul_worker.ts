// Leaves everything that a store can have under way, and destroys it: then this process has to end by itself.
import process from "node:process";
import { LOCK, NEVER, newEntry, openStore } from "./consul_world.ts";

const store = await openStore({ ports: [Number(process.argv.at(-1))] });
const line = store.line(LOCK);
await line.enter(newEntry());
const { ahead, at } = await line.enter(newEntry());
const waiting = Promise.all([
  line.changed(ahead, at, NEVER),
  line.changed(undefined, (await line.list()).at, NEVER),
]);
console.log("waiting");
store.destroy();
console.log("destroyed", await waiting.catch((error: Error) => error.constructor.name));
