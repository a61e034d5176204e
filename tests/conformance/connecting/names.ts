import assert from "node:assert/strict";
import type { Case } from "../suite.ts";
import { failure } from "../waiting.ts";

/** Different names of which a careless driver would make one, or a path, a pattern, or a command. */
const HOSTILE: readonly string[] = [
  "x",
  "X",
  "x ",
  " x",
  "x.",
  "x\n",
  ".",
  "..",
  "../x",
  "./x",
  "/x",
  "x/",
  "a/b",
  "a//b",
  "a\\b",
  "a:b",
  "a",
  "%",
  "%%",
  "%2F",
  "a%2Fb",
  "a%2fb",
  "{x}",
  "{tag}x",
  "}{",
  "*",
  "?",
  "[a-z]",
  "~",
  "-rf",
  "CON",
  "x;y",
  "'; DROP TABLE x; --",
  '"',
  "\t",
  "\r\n",
  "\x01",
  "\x7f",
  "é",
  "e\u0301",
  "😀",
  "\u202ex",
  "\ufeffx",
  "ﬁ",
  "fi",
  "ß",
  "ss",
  "__proto__",
  "constructor",
  "lock",
  "tooz",
  "x".repeat(255),
  "x".repeat(256),
  "x".repeat(1024),
  "x".repeat(1023) + "y",
  "é".repeat(512),
  "😀".repeat(256),
  "/".repeat(1024),
];

const WRONG: readonly string[] = ["", "a\0b", "\0", "\ud83d", "a\ude00", "x".repeat(1025), "é".repeat(513)];

export const names: readonly Case[] = [
  {
    name: "no two hostile names of locks meet",
    holds: ["C5", "C6", "L4"],
    smoke: true,
    async run(stage) {
      const [one, two] = [await stage.open({ ttl: 30_000 }), await stage.open({ ttl: 30_000 })];
      const leases = await Promise.all(HOSTILE.map((name) => one.lock(name).tryAcquire()));
      for (const [i, name] of HOSTILE.entries()) {
        assert.ok(leases[i], `${JSON.stringify(name.slice(0, 20))} met another`);
        assert.equal(leases[i].name, name);
      }
      const seen = await Promise.all(HOSTILE.map((name) => two.lock(name).holders()));
      for (const [i, holders] of seen.entries()) {
        assert.deepEqual(holders.map(({ memberId, token }) => [memberId, token]), [[
          one.memberId,
          leases[i]?.token,
        ]]);
      }
      const taken = await Promise.all(HOSTILE.map((name) => two.lock(name).tryAcquire()));
      assert.ok(taken.every((lease) => lease === undefined));
      // Every other one is given back: only those can be taken.
      await Promise.all(leases.filter((_, i) => i % 2 === 0).map((lease) => lease?.release()));
      const free = await Promise.all(HOSTILE.map((name) => two.lock(name).tryAcquire()));
      assert.deepEqual(free.map((lease) => lease !== undefined), HOSTILE.map((_, i) => i % 2 === 0));
    },
  },
  {
    name: "no two hostile ids of groups meet, and groups() gives back exactly what was put in",
    holds: ["C5", "C6", "G1"],
    async run(stage) {
      const [one, two] = [await stage.open({ ttl: 30_000 }), await stage.open({ ttl: 30_000 })];
      await Promise.all(HOSTILE.map((id) => one.group(id).create()));
      assert.deepEqual((await two.groups()).sort(), [...HOSTILE].sort());
      await Promise.all(HOSTILE.map((id, i) => one.group(id).join({ i })));
      for (const [i, id] of HOSTILE.entries()) {
        const members = await two.group(id).members();
        assert.deepEqual([...members.values()].map((member) => member.capabilities), [{ i }]);
      }
      await Promise.all(HOSTILE.map((id) => one.group(id).leave()));
      const half = HOSTILE.filter((_, i) => i % 2 === 0);
      await Promise.all(half.map((id) => two.group(id).delete()));
      assert.deepEqual((await one.groups()).sort(), HOSTILE.filter((_, i) => i % 2 === 1).sort());
    },
  },
  {
    name: "no two hostile ids of elections meet",
    holds: ["C5", "C6"],
    async run(stage) {
      const [one, two] = [await stage.open({ ttl: 30_000 }), await stage.open({ ttl: 30_000 })];
      const won = await Promise.all(HOSTILE.map((id) => one.election(id).tryCampaign({ value: id })));
      assert.ok(won.every((leadership) => leadership !== undefined));
      const leaders = await Promise.all(HOSTILE.map((id) => two.election(id).leader()));
      assert.deepEqual(leaders.map((leader) => leader?.value), HOSTILE);
    },
  },
  {
    name: "hostile member ids come back exactly, and no two meet",
    holds: ["C5", "C6"],
    alone: true,
    async run(stage) {
      const id = stage.name("group");
      const observer = await stage.open({ ttl: 60_000 });
      await observer.group(id).create();
      const coords = await Promise.all(
        HOSTILE.map((memberId) => stage.open({ memberId, ttl: 60_000 })),
      );
      assert.deepEqual(coords.map(({ memberId }) => memberId), HOSTILE);
      await Promise.all(coords.map((coord, i) => coord.group(id).join({ i })));
      const members = await observer.group(id).members();
      assert.deepEqual([...members.keys()].sort(), [...HOSTILE].sort());
      for (const [i, memberId] of HOSTILE.entries()) {
        const member = await observer.group(id).member(memberId);
        assert.deepEqual([member.id, member.capabilities], [memberId, { i }]);
      }
      const name = stage.name("lock");
      for (const coord of coords) {
        const lease = await coord.lock(name).acquire();
        const [holder] = await observer.lock(name).holders();
        assert.deepEqual([holder?.memberId, holder?.token], [coord.memberId, lease.token]);
        await lease.release();
      }
    },
  },
  {
    name: "no two hostile namespaces meet",
    holds: ["C5", "C6", "C9"],
    alone: true,
    async run(stage) {
      const name = stage.name("name");
      // Prefixed, so that cases that run at other times keep out of each other's way; the longest are then cut.
      const namespaces = HOSTILE.map((each) => `${name}${each}`)
        .filter((each) => new TextEncoder().encode(each).length <= 1024);
      const coords = await Promise.all(namespaces.map((namespace) => stage.open({ namespace, ttl: 60_000 })));
      for (const [i, coord] of coords.entries()) {
        assert.ok(await coord.lock(name).tryAcquire(), JSON.stringify(namespaces[i]));
        await coord.group(name).join({ i }, { create: true });
        assert.ok(await coord.election(name).tryCampaign({ value: `${i}` }));
      }
      for (const [i, coord] of coords.entries()) {
        assert.deepEqual(await coord.groups(), [name]);
        assert.deepEqual((await coord.group(name).member(coord.memberId)).capabilities, { i });
        assert.equal((await coord.election(name).leader())?.value, `${i}`);
      }
    },
  },
  {
    name: "names, ids, namespaces and member ids that cannot be are a TypeError",
    holds: ["C5", "R3"],
    async run(stage) {
      const coord = await stage.open();
      for (const wrong of WRONG) {
        assert.throws(() => coord.lock(wrong), TypeError);
        assert.throws(() => coord.group(wrong), TypeError);
        assert.throws(() => coord.election(wrong), TypeError);
        assert.ok(await failure(coord.group("none").member(wrong)) instanceof TypeError);
        assert.ok(await failure(stage.open({ memberId: wrong })) instanceof TypeError);
        assert.ok(await failure(stage.open({ namespace: wrong })) instanceof TypeError);
      }
    },
  },
  {
    name: "a namespace, a kind and a name never add up to those of another",
    holds: ["C6", "C9", "E1"],
    async run(stage) {
      const base = stage.name("n");
      const pairs = [
        [base, "a:b"],
        [`${base}:a`, "b"],
        [`${base}:`, "a:b"],
        [`${base}-2`, "a/b"],
        [`${base}-2/a`, "b"],
        [`${base}-2/`, "a/b"],
      ];
      for (const [namespace = "", name = ""] of pairs) {
        const coord = await stage.open({ namespace });
        assert.ok(await coord.lock(name).tryAcquire(), `${namespace} ${name}`);
        assert.ok(await coord.election(name).tryCampaign(), `${namespace} ${name}`);
        assert.ok(await coord.lock(`election:${name}`).tryAcquire(), `${namespace} ${name}`);
        assert.ok(await coord.lock(`lock:${name}`).tryAcquire(), `${namespace} ${name}`);
        await coord.group(name).create();
        assert.deepEqual(await coord.groups(), [name]);
      }
    },
  },
];
