import assert from "node:assert/strict";
import { HashRing, SerializationError } from "../../../mod.ts";
import { RUNTIMES } from "../../processes/runtimes.ts";
import { iterate, until } from "../reading.ts";
import type { Case } from "../suite.ts";
import { aborted, failure, within } from "../waiting.ts";

const KEYS = Array.from({ length: 200 }, (_, i) => `key-${i}`);

export const partitioners: readonly Case[] = [
  {
    name: "partition() joins the group, and creates it if needed; disposal leaves",
    holds: ["P1", "P12", "P13"],
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open(), await stage.open()];
      const partitioner = await one.group(id).partition({ weight: 3, capabilities: { rack: "é" } });
      assert.deepEqual((await two.group(id).member(one.memberId)).capabilities, { rack: "é", weight: 3 });
      assert.deepEqual([...partitioner.members], [one.memberId]);
      const { signal } = partitioner;
      await partitioner[Symbol.asyncDispose]();
      assert.equal((await two.group(id).members()).size, 0);
      assert.equal(signal.aborted, false);
      await using _again = await two.group(id).partition();
      assert.deepEqual((await two.group(id).member(two.memberId)).capabilities, { weight: 1 });
    },
  },
  {
    name: "partitioners place keys as a hash ring of the members does, each key with one",
    holds: ["P3", "P4", "P5", "P11", "P13"],
    async run(stage) {
      const id = stage.name("group");
      const coords = await Promise.all([1, 2, 3].map(() => stage.open()));
      const ring = new HashRing();
      for (const [i, coord] of coords.entries()) ring.addNode(coord.memberId, i + 1);
      const partitioners = await Promise.all(
        coords.map((coord, i) => coord.group(id).partition({ weight: i + 1 })),
      );
      for (const partitioner of partitioners) {
        await stage.eventually(() => partitioner.members.size === 3);
        for (const key of KEYS) {
          assert.deepEqual(partitioner.membersFor(key), ring.nodesFor(key));
          const [first] = ring.nodesFor(key);
          const options = { replicas: 2, ignore: [first ?? ""] };
          const bytes = new TextEncoder().encode(key);
          assert.deepEqual(partitioner.membersFor(bytes, options), ring.nodesFor(key, options));
        }
      }
      for (const key of KEYS) assert.equal(partitioners.filter((each) => each.isMine(key)).length, 1);
      for (const partitioner of partitioners) await partitioner[Symbol.asyncDispose]();
    },
  },
  {
    name: "partitioners of several processes and runtimes agree, also when one is killed",
    holds: ["P3", "P11", "G20"],
    smoke: true,
    needs: ["processes"],
    async run(stage) {
      const id = stage.name("group");
      const coord = await stage.open();
      await using own = await coord.group(id).partition();
      const workers = await Promise.all(RUNTIMES.map((runtime) => stage.worker(runtime)));
      await Promise.all(workers.map((worker, i) => worker.call("partition", id, { weight: i + 1 })));
      const agreed = async (among: typeof workers, size: number) => {
        await stage.eventually(() => own.members.size === size);
        const mine = KEYS.map((key) => [...own.membersFor(key, { replicas: 2 })].sort());
        for (const worker of among) {
          await stage.eventually(async () => {
            const theirs = await worker.call<string[][]>("membersFor", KEYS, { replicas: 2 });
            return JSON.stringify(theirs) === JSON.stringify(mine);
          });
        }
      };
      await agreed(workers, 4);
      const [first, ...others] = workers;
      await first?.kill();
      await agreed(others, 3);
    },
  },
  {
    name: "changes() tells the members after each change, and ends with the partitioner",
    holds: ["P6"],
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open(), await stage.open()];
      const partitioner = await one.group(id).partition();
      const changes = iterate(partitioner.changes());
      const second = await two.group(id).partition();
      const both = await until(changes, ({ size }) => size === 2, "the join is seen");
      assert.deepEqual([...both].sort(), [one.memberId, two.memberId].sort());
      await second[Symbol.asyncDispose]();
      const alone = await until(changes, ({ size }) => size === 1, "the leaving is seen");
      assert.deepEqual([...alone], [one.memberId]);
      assert.ok(KEYS.every((key) => partitioner.isMine(key)));
      const last = changes.next();
      await partitioner[Symbol.asyncDispose]();
      assert.equal((await last).done, true);
    },
  },
  {
    name: "a changed weight moves keys",
    holds: ["P6", "P7", "P13"],
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open(), await stage.open()];
      await using partitioner = await one.group(id).partition({ partitions: 128 });
      await using _other = await two.group(id).partition({ partitions: 128 });
      await stage.eventually(() => partitioner.members.size === 2);
      const share = () => KEYS.filter((key) => partitioner.isMine(key)).length / KEYS.length;
      assert.ok(Math.abs(share() - 1 / 2) < 0.2, `${share()}`);
      await two.group(id).update({ weight: 9 });
      await stage.eventually(() => share() < 0.3);
    },
  },
  {
    name: "a weight that somebody joined with by hand counts as the greatest that there is, at most",
    holds: ["P4", "P13"],
    async run(stage) {
      const id = stage.name("group");
      const [one, two] = [await stage.open(), await stage.open()];
      await two.group(id).join({ weight: 200_000 }, { create: true });
      await using partitioner = await within(one.group(id).partition({ weight: 1_000 }), "the ring is there");
      assert.equal(partitioner.members.size, 2);
      const share = KEYS.filter((key) => partitioner.isMine(key)).length / KEYS.length;
      assert.ok(Math.abs(share - 1 / 2) < 0.2, `${share}`);
    },
  },
  {
    name: "a partitioner's signal fires when its membership is lost",
    holds: ["P2"],
    async run(stage) {
      const id = stage.name("group");
      const [lost, other] = [await stage.open({ heartbeat: "manual" }), await stage.open()];
      await using partitioner = await lost.group(id).partition();
      await using _other = await other.group(id).partition();
      await aborted(partitioner.signal, "the membership is lost");
      await stage.eventually(async () => (await other.group(id).members()).size === 1);
      await stage.eventually(() => !partitioner.members.has(lost.memberId));
    },
  },
  {
    name: "partition() with wrong arguments joins nothing",
    holds: ["R3", "R4"],
    async run(stage) {
      const coord = await stage.open();
      const group = coord.group(stage.name("group"));
      for (const weight of [0, -1, 0.5, NaN, 200_000]) {
        assert.ok(await failure(group.partition({ weight })) instanceof RangeError);
      }
      assert.ok(await failure(group.partition({ partitions: 0 })) instanceof RangeError);
      assert.ok(await failure(group.partition({ capabilities: [1] })) instanceof TypeError);
      for (const capabilities of [new Map([["rack", 1]]), new Date(), { rack: undefined }, { n: NaN }]) {
        assert.ok(await failure(group.partition({ capabilities })) instanceof SerializationError);
      }
      assert.ok(await failure(group.partition({ capabilities: { weight: 5 } })) instanceof TypeError);
      const reason = { why: "enough" };
      assert.equal(await failure(group.partition({ signal: AbortSignal.abort(reason) })), reason);
      assert.deepEqual(await coord.groups(), []);
    },
  },
];
