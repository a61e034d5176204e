// Prints whatever a user can get hold of, in every way that there is. secrets_test.ts reads it.
import process from "node:process";
import { inspect } from "node:util";
import type { Backend } from "../../driver.ts";
import { consul } from "../../drivers/consul.ts";
import { etcd } from "../../drivers/etcd.ts";
import { memcached } from "../../drivers/memcached.ts";
import { mysql } from "../../drivers/mysql.ts";
import { postgresql } from "../../drivers/postgresql.ts";
import { redis } from "../../drivers/redis.ts";
import { zookeeper } from "../../drivers/zookeeper.ts";
import type { Secret } from "../../internal/access.ts";
import { type Coordinator, getCoordinator } from "../../mod.ts";
import { failure } from "../conformance/waiting.ts";
import { type Proxy, startProxy } from "../servers/proxy.ts";

/** What secrets_test.ts asks for. */
export interface Task {
  readonly driver: keyof typeof FACTORIES;
  /** With the right password. */
  readonly url: string;
  readonly port: number;
  /** The same, with `PORT` for the port that reaches the server. */
  readonly viaProxy: string;
  /** The URL without a password, and the right one. */
  readonly bare: string;
  readonly password: string;
  /** By what is wrong with them. */
  readonly refused: Readonly<Record<string, string>>;
  /** Nobody catches that the server refuses this one. */
  readonly uncaught?: string;
}

const FACTORIES = { consul, etcd, memcached, mysql, postgresql, redis, zookeeper };
const ttl = 12_000;

/** Prints a value in every way. */
function show(label: string, value: unknown): void {
  console.log(label, value);
  console.error("%s %o %j", label, value, label);
  console.dir(value, { depth: null, showHidden: true });
  console.log(`${label} ${value}`);
  console.log(String(value), inspect(value, { depth: Infinity, showHidden: true, getters: true }));
  try {
    console.log(label, JSON.stringify(value));
  } catch (error) {
    console.log(label, "is no JSON", error);
  }
  if (value instanceof Error) showError(label, value);
}

/** What runtimes leave out when they print an error. */
function showError(label: string, error: Error): void {
  console.log(label, error.stack);
  for (const name of Reflect.ownKeys(error)) {
    const part: unknown = Reflect.get(error, name);
    if (part !== error && typeof part !== "string") show(`${label} ${String(name)}`, part);
    else console.log(label, name, part);
  }
}

/** Opens, and prints what comes of it: an error. */
async function showRefusal(label: string, open: () => Backend | string): Promise<void> {
  let coord: Coordinator | undefined;
  try {
    coord = await getCoordinator(open(), { ttl });
    await coord.lock("l").acquire({ timeout: 1_000 });
    console.log(`NOT REFUSED: ${label}`);
  } catch (error) {
    show(`REFUSED: ${label}`, error);
  } finally {
    await coord?.close();
  }
}

/** Prints all that a coordinator has, before and after its server is away. */
async function showCoordinator(backend: Backend, proxy: Proxy): Promise<void> {
  const coord = await getCoordinator(backend, { ttl });
  const lock = coord.lock("l");
  const lease = await lock.acquire();
  const group = coord.group<object>("g");
  const membership = await group.join({ a: 1 }, { create: true });
  const watch = await group.watch();
  const election = coord.election("e");
  const leadership = await election.campaign({ value: "v" });
  const things = { coord, lock, lease, group, membership, watch, election, leadership };
  const answers = {
    members: await group.members(),
    holders: await lock.holders(),
    l: await election.leader(),
  };
  show("things", things);
  for (const [name, value] of Object.entries({ ...things, ...answers })) show(name, value);
  show("session", coord.session);
  const states = coord.states()[Symbol.asyncIterator]();
  show("state", await states.next());
  const next = states.next();
  proxy.refuse();
  const failures = [
    lease.isHeld(),
    lease.release(),
    coord.lock("m").acquire({ timeout: 1_000 }),
    group.members(),
    membership.update({ a: 2 }),
    leadership.proclaim("w"),
    coord.heartbeat(),
    getCoordinator(backend, { ttl }),
  ];
  for (const error of await Promise.all(failures.map(failure))) show("AWAY", error);
  show("state without a server", await next);
  proxy.forward();
  await coord.close();
  show("closed", [lease.signal.reason, membership.signal.reason, leadership.signal.reason]);
  show("closed", await failure(lock.acquire()));
  show("things at the end", things);
}

async function main({ driver, url, viaProxy, bare, password, port, refused, uncaught }: Task): Promise<void> {
  const factory = FACTORIES[driver] as (url: string, options?: { password?: Secret }) => Backend; // Each takes those.
  if (uncaught !== undefined) {
    // ZooKeeper takes any password, and lets only those have a node who know that of its owner.
    const coord = await getCoordinator(uncaught, { ttl });
    await coord.lock("l").acquire();
  }
  await using proxy = await startProxy(port);
  const make = (password: Secret) => factory(bare, { password });
  const backends = [factory(url), make(password), make(() => Promise.resolve(password))];
  for (const backend of backends) {
    show("backend", backend);
    await using coord = await getCoordinator(backend, { ttl });
    await using lease = await coord.lock("l").acquire();
    show("lease", lease);
  }
  await Promise.all([
    showCoordinator(factory(viaProxy.replace("PORT", `${proxy.port}`)), proxy),
    ...Object.entries(refused).map(([label, wrong]) => showRefusal(label, () => wrong)),
    showRefusal("failing function", () => make(() => Promise.reject(new Error("the vault is sealed")))),
    showRefusal("function without a string", () => make((() => 5) as never)),
  ]);
  console.log("THE END");
}

await main(JSON.parse(process.argv[2] ?? "") as Task); // From the test.
