// The least rights that the pages name, tried: with them everything works, without them it is said what lacks.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inspect } from "node:util";
import { ACL, type Client, createClient, CreateMode, Id, Permission } from "node-zookeeper-client";
import { ConnectionError } from "../../core/errors.ts";
import { postgresqlSchema } from "../../drivers/postgresql.ts";
import { type Coordinator, getCoordinator } from "../../mod.ts";
import { iterate, next } from "../conformance/reading.ts";
import { failure, within } from "../conformance/waiting.ts";
import { hasServer } from "../servers/available.ts";
import { startConsul } from "../servers/consul.ts";
import { protect, startEtcd } from "../servers/etcd.ts";
import { ask, httpSend } from "../servers/probe.ts";
import { startRedis } from "../servers/redis.ts";
import { redisRights } from "../servers/redis_rights.ts";
import { PRODUCTS as DATABASES, World } from "./mysql_world.ts";
import { OPTIONS as POSTGRESQL, startWorld } from "./postgresql_world.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";

const ROOT = "r00t-s3cr3t";
const ttl = 20_000;

/** What a driver's page has between these fences. */
function fromPage(driver: string, language: string): string {
  const page = readFileSync(new URL(`../../docs/drivers/${driver}.md`, import.meta.url), "utf8");
  const [, text] = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(page) ?? [];
  assert.ok(text, `the page of ${driver} has ${language}`);
  return text;
}

/** Uses every kind of request. */
async function useEverything(one: Coordinator, two: Coordinator): Promise<void> {
  const lease = await one.lock("l").acquire();
  const waiting = two.lock("l").acquire({ mode: "shared" });
  await lease.release();
  const shared = await within(waiting, "the lock is handed over");
  assert.equal(await shared.isHeld(), true);
  assert.equal((await one.lock("l").holders()).length, 1);
  assert.equal(await one.lock("l").break(), true);
  const group = one.group<number>("g");
  const membership = await group.join(1, { create: true });
  await using watch = await two.group<number>("g").watch();
  const events = iterate(watch);
  await membership.update(2);
  assert.equal((await next(events, "the update is seen"))?.type, "updated");
  assert.deepEqual(await two.groups(), ["g"]);
  await membership.leave();
  await group.delete();
  const leadership = await one.election("e").campaign({ value: "a" });
  await leadership.proclaim("b");
  assert.equal((await two.election("e").leader())?.value, "b");
  await one.heartbeat();
  await leadership.resign();
}

/** Opens two, uses them, and sees that a namespace without rights is refused in words. */
async function tryRights(url: string, refused: RegExp): Promise<void> {
  await useAll(url);
  const trespass = async () => {
    await using other = await getCoordinator(url, { ttl, namespace: "other" });
    await other.lock("l").acquire();
  };
  await lacks(trespass(), refused);
}

/** Opens two and uses them. */
async function useAll(url: string): Promise<void> {
  await using one = await getCoordinator(url, { ttl });
  await using two = await getCoordinator(url, { ttl });
  await useEverything(one, two);
}

/** Sees that what somebody tries without a right names it. */
async function lacks(tried: Promise<unknown>, named: RegExp): Promise<void> {
  const error = await within(failure(tried), "it is refused");
  assert.ok(error instanceof ConnectionError, String(error));
  assert.match(error.message, named);
}

test("etcd: the role on the page is enough", { skip: !hasServer("etcd"), timeout: 60_000 }, async () => {
  await using server = await startEtcd();
  const [, first, end] = /range_end|"(\S+)" "(\S+)"/.exec(fromPage("etcd", "sh")) ?? [];
  const code = (text = "") => btoa(text);
  await protect(server.port, ROOT, {
    rights: { key: code(first), range_end: code(end), permType: "READWRITE" },
  });
  await tryRights(server.url.replace("://", "://coord:s3cr3t@"), /permission denied/);
});

test(
  "consul: the policy on the page is enough",
  { skip: !hasServer("consul"), timeout: 60_000 },
  async () => {
    await using server = await startConsul({ token: ROOT });
    const put = async (path: string, body: unknown) => {
      const request = httpSend(`PUT ${path}?token=${ROOT}`, {
        body: JSON.stringify(body),
        expect: /^HTTP\/1\.1 200[\s\S]*\}/,
      });
      return await ask(server.port, request, 10_000);
    };
    await put("/v1/acl/policy", { Name: "coord", Rules: fromPage("consul", "hcl") });
    const token = "5d9a7a2e-6a0c-4a3c-9d5e-0c5f0b7f1a11";
    await put("/v1/acl/token", { SecretID: token, Policies: [{ Name: "coord" }] });
    await tryRights(server.url.replace(ROOT, token), /Permission denied/);
  },
);

test(
  "redis: the user on the page has enough rights",
  { skip: !hasServer("redis-server"), timeout: 60_000 },
  async () => {
    await using server = await startRedis({ password: "s3cr3t", rights: redisRights() });
    await tryRights(server.url, /NOPERM/);
  },
);

test(
  "postgresql: what postgresqlSchema() grants is enough, and each of it is needed",
  POSTGRESQL,
  async () => {
    await using world = await startWorld();
    const script = postgresqlSchema("jobs");
    for (
      const statement of [
        "create role jobs login",
        // As careful administrators have it.
        "revoke all on database postgres from public",
        "revoke all on schema public from public",
        "alter default privileges revoke execute on routines from public",
        "grant connect on database postgres to jobs",
        script,
      ]
    ) await world.client.query(statement);
    const url = world.server.url.replace("postgres@", "jobs@");
    await useAll(url);
    const grants = [...script.matchAll(/^grant (.+) on (.+) to "jobs";$/gm)];
    assert.equal(grants.length, 4);
    for (const [grant, rights, things] of grants) {
      await world.client.query(`revoke ${rights} on ${things} from jobs`);
      await lacks(
        useAll(url),
        /permission denied for (sequence|table|function) \w+|may not make or use schema "tooz"/,
      );
      await world.client.query(grant);
    }
    await useAll(url);
  },
);

for (const { name, isHere, start } of DATABASES) {
  test(
    `${name}: the rights on the page are enough, and each of them is needed`,
    { skip: !isHere, timeout: 60_000 },
    async () => {
      await using world = await World.start(start);
      await world.admin.query(`create database app; ${fromPage("mysql", "sql")}`);
      const url = `mysql://jobs:secret@127.0.0.1:${world.server.port}/app`;
      await useAll(url);
      const [, list = ""] = /^grant (.+) on app/m.exec(fromPage("mysql", "sql")) ?? [];
      const rights = list.split(", ");
      assert.equal(rights.length, 5);
      for (const right of rights) {
        await world.admin.query(`revoke ${right} on app.* from jobs`);
        if (right === "create") await world.admin.query("drop database app; create database app");
        await lacks(
          getCoordinator(url, { ttl }),
          new RegExp(`${right} command denied to user .*it needs SELECT, INSERT`, "i"),
        );
        await world.admin.query(`grant ${right} on app.* to jobs`);
      }
      await useAll(url);
    },
  );
}

/** ZooKeeper's operator, who gives rights to others. */
class ZooKeeperAdmin implements Disposable {
  readonly #client: Client;

  constructor(port: number) {
    this.#client = createClient(`127.0.0.1:${port}`);
    this.#client.addAuthInfo("digest", Buffer.from(`admin:${ROOT}`));
    this.#client.connect();
  }

  /** Makes a node that has this value and gives these rights besides the operator's own. */
  create(path: string, rights: readonly ACL[]): Promise<void> {
    return this.#do((done) =>
      this.#client.create(path, Buffer.from("{}"), this.#acl(rights), CreateMode.PERSISTENT, done)
    );
  }

  /** Gives these rights, and no others but to itself. */
  grant(path: string, rights: readonly ACL[]): Promise<void> {
    return this.#do((done) => this.#client.setACL(path, this.#acl(rights), -1, done));
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  #acl(rights: readonly ACL[]): ACL[] {
    return [new ACL(Permission.ALL, digestOf("admin", ROOT)), ...rights];
  }

  #do(ask: (done: (error: unknown) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => ask((error) => error ? reject(error) : resolve()));
  }
}

/** A user as ACLs know it. */
function digestOf(user: string, password: string): Id {
  return new Id("digest", `${user}:${createHash("sha1").update(`${user}:${password}`).digest("base64")}`);
}

const ANYONE = new Id("world", "anyone");
const COORD = digestOf("coord", "s3cr3t");

/** By the letters that zkCli knows. */
function permissionsOf(letters: string): number {
  const { READ, WRITE, CREATE, DELETE, ADMIN } = Permission;
  const bits: Readonly<Record<string, number>> = { r: READ, w: WRITE, c: CREATE, d: DELETE, a: ADMIN };
  return [...letters].reduce((sum, letter) => sum | (bits[letter] ?? 0), 0);
}

/** Every call that makes a node, each with its name. */
function requests(coord: Coordinator): Record<string, () => Promise<unknown>> {
  const [lock, election] = [coord.lock("l"), coord.election("e")];
  return {
    acquire: () => lock.acquire(),
    tryAcquire: () => lock.tryAcquire(),
    shared: () => lock.acquire({ mode: "shared" }),
    "create a group": () => coord.group("new").create(),
    "join and create": () => coord.group("new").join({}, { create: true }),
    campaign: () => election.campaign(),
  };
}

/** Every call that needs what is there, with its name. */
function reads(coord: Coordinator): Record<string, () => Promise<unknown>> {
  const [lock, group, election] = [coord.lock("l"), coord.group("g"), coord.election("e")];
  return {
    holders: () => lock.holders(),
    break: () => lock.break(),
    members: () => group.members(),
    member: () => group.member("m"),
    watch: () => group.watch(),
    groups: () => coord.groups(),
    leader: () => election.leader(),
    join: () => group.join({}),
  };
}

/** Fails unless each says that a right is missing. */
async function checkMissing(calls: Record<string, () => Promise<unknown>>): Promise<void> {
  for (const [name, call] of Object.entries(calls)) {
    const error = await within(failure(call()), `${name} is refused`);
    assert.ok(error instanceof ConnectionError, `${name}: ${error}`);
    assert.match(error.message, /NO_AUTH, a right is missing/, name);
    assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), /s3cr3t/);
  }
}

const ZOOKEEPER = { skip: !hasServer("zookeeper", "bookworm"), timeout: 60_000 };

test("zookeeper: the ACL on the page is enough", ZOOKEEPER, async () => {
  const [, path = "", letters = ""] = /^setAcl (\S+) digest:coord:DIGEST:([a-z]+)$/m.exec(
    fromPage("zookeeper", "sh"),
  ) ?? [];
  await using server = await startZooKeeper({ suite: "bookworm" });
  using admin = new ZooKeeperAdmin(server.port);
  await admin.create(path, [new ACL(permissionsOf(letters), COORD)]);
  // What the path does not lead to needs no right.
  await admin.create("/closed", []);
  await admin.grant("/", []);
  const url = server.url.replace("://", "://coord:s3cr3t@");
  await using one = await getCoordinator(`${url}${path}`, { ttl });
  await using two = await getCoordinator(`${url}${path}`, { ttl });
  await useEverything(one, two);
  for (const elsewhere of ["/closed", ""]) {
    await using other = await getCoordinator(`${url}${elsewhere}`, { ttl });
    await checkMissing(requests(other));
  }
});

test("zookeeper: a namespace that somebody else has made for the user will do", ZOOKEEPER, async () => {
  await using server = await startZooKeeper({ suite: "bookworm" });
  using admin = new ZooKeeperAdmin(server.port);
  await admin.create("/app", []);
  await admin.create("/app/jobs", [new ACL(permissionsOf("c"), COORD)]);
  await admin.grant("/", []);
  const url = `${server.url.replace("://", "://coord:s3cr3t@")}/app?namespace=jobs`;
  await using one = await getCoordinator(url, { ttl });
  await using two = await getCoordinator(url, { ttl });
  await useEverything(one, two);
});

test("zookeeper: nodes of another user are refused, to be read only or not at all", ZOOKEEPER, async () => {
  await using server = await startZooKeeper({ suite: "bookworm" });
  using admin = new ZooKeeperAdmin(server.port);
  const nodes = [
    "",
    "/locks",
    "/locks/l",
    "/groups",
    "/groups/g",
    "/groups/g/by:x",
    "/elections",
    "/elections/e",
  ];
  const readOnly = [new ACL(Permission.READ, ANYONE)];
  for (const node of nodes) await admin.create(`/tooz${node}`, readOnly);
  await using coord = await getCoordinator(server.url.replace("://", "://coord:s3cr3t@"), { ttl });
  await checkMissing({ ...requests(coord), join: () => coord.group("g").join({}) });
  assert.deepEqual(await coord.groups(), ["g"]);
  assert.equal((await coord.group("g").members()).size, 0);
  assert.deepEqual(await coord.lock("l").holders(), []);
  for (const node of nodes) await admin.grant(`/tooz${node}`, []);
  await checkMissing({ ...requests(coord), ...reads(coord) });
  assert.equal(coord.state, "connected");
});

test("zookeeper: a server that wants everybody to log in says so to who does not", ZOOKEEPER, async () => {
  const config = ["enforce.auth.enabled=true", "enforce.auth.schemes=digest"];
  await using server = await startZooKeeper({ suite: "bookworm", config });
  await using known = await getCoordinator(server.url.replace("://", "://coord:s3cr3t@"), { ttl });
  await using lease = await known.lock("l").acquire();
  assert.equal(await lease.isHeld(), true);
  await using nobody = await getCoordinator(server.url, { ttl });
  const error = await within(failure(nobody.lock("m").acquire()), "it is refused");
  assert.ok(error instanceof ConnectionError, String(error));
  assert.match(error.message, /it wants everybody to log in: see "user" and "password"; SASL is not spoken/);
});
