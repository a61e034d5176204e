// Has a connection of each kind, and closes once it is told: then this process has to end by itself.
import { once } from "node:events";
import process from "node:process";
import { mysql } from "../../drivers/mysql.ts";
import { getCoordinator } from "../../mod.ts";

const coord = await getCoordinator(mysql(process.argv.at(-1)), { ttl: 6_000 });
await coord.lock("l").acquire();
const waiting = coord.lock("l").acquire().catch((error: Error) => error.name);
await coord.group("g").join({}, { create: true });
await coord.group("g").watch();
console.log("ready");
await once(process.stdin, "data");
process.stdin.destroy();
await coord.close();
console.log("closed", await waiting);
