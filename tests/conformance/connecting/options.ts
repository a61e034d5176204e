import assert from "node:assert/strict";
import type { Characteristic } from "../../../characteristics.ts";
import { DriverChosenPoorlyError, getCoordinator, UnknownDriverError } from "../../../mod.ts";
import { REQUIRED } from "../required.ts";
import type { Case } from "../suite.ts";
import { failure } from "../waiting.ts";

const ALL: readonly Characteristic[] = [
  "DISTRIBUTED_ACROSS_THREADS",
  "DISTRIBUTED_ACROSS_PROCESSES",
  "DISTRIBUTED_ACROSS_HOSTS",
  "NON_TIMEOUT_BASED",
  "LINEARIZABLE",
  "SEQUENTIAL",
  "CAUSAL",
  "SERIALIZABLE",
  "SAME_VIEW_UNDER_PARTITIONS",
  "SAME_VIEW_ACROSS_CLIENTS",
  "FAIR",
  "PUSHED_LOCKS",
  "PUSHED_WATCHES",
  "CRASH_RELEASE",
  "LOSS_BEFORE_REGRANT",
  "DURABLE_FENCING",
];

/** A URL with options in its query. */
function withQuery(url: string, query: Record<string, string>): string {
  return `${url}${url.includes("?") ? "&" : "?"}${new URLSearchParams(query)}`;
}

export const options: readonly Case[] = [
  {
    name: "the driver promises at least what it must",
    holds: ["X17", "X18", "X19", "X20", "X21", "X22", "C39"],
    async run(stage) {
      const coord = await stage.open();
      const missing = (REQUIRED[stage.driver] ?? []).filter((each) => !coord.characteristics.has(each));
      assert.deepEqual(missing, []);
      assert.deepEqual(coord.characteristics, stage.characteristics);
      assert.ok([...coord.characteristics].every((each) => ALL.includes(each)));
      if (coord.characteristics.has("NON_TIMEOUT_BASED")) {
        assert.ok(coord.characteristics.has("CRASH_RELEASE"));
      }
    },
  },
  {
    name: "getCoordinator() opens a URL, as text and as URL, with the driver of its scheme",
    holds: ["C20", "C38", "S1", "S2"],
    async run(stage) {
      const common = { namespace: stage.namespace, ttl: stage.ttl };
      // Several hosts are no URL to others.
      const urls = URL.canParse(stage.url) ? [stage.url, new URL(stage.url)] : [stage.url];
      for (const url of [...urls, stage.factory(stage.url)]) {
        await using coord = await getCoordinator(url, { ...common, memberId: stage.name("member") });
        assert.equal(coord.driver, stage.driver);
        assert.deepEqual([coord.state, coord.session.signal.aborted], ["connected", false]);
        assert.ok(coord.session.ttl > 0);
        await using lease = await coord.lock("shared name").acquire();
        assert.equal(await lease.isHeld(), true);
      }
    },
  },
  {
    name: "options in the URL's query hold, and those in code win",
    holds: ["C22", "C7"],
    async run(stage) {
      const [memberId, namespace] = [stage.name("é member"), `${stage.namespace} & more`];
      const url = withQuery(stage.url, { memberId, namespace, ttl: "7000" });
      await using one = await getCoordinator(url);
      assert.equal(one.memberId, memberId);
      // What is granted may be less.
      assert.ok(one.session.ttl >= 3_500 && one.session.ttl < 30_000);
      await using two = await getCoordinator(url, { memberId: "code" });
      assert.equal(two.memberId, "code");
      await using _lease = await one.lock("x").acquire();
      assert.equal(await two.lock("x").tryAcquire(), undefined);
      const elsewhere = await stage.open();
      assert.ok(await elsewhere.lock("x").tryAcquire());
    },
  },
  {
    name: "an unknown option is an error that names the nearest known one",
    holds: ["C23", "R3"],
    async run(stage) {
      const error = await failure(getCoordinator(withQuery(stage.url, { namspace: "x" })));
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, /"namspace".*"namespace"/);
    },
  },
  {
    name:
      "a URL that cannot be is a TypeError, and one without a driver an UnknownDriverError; no secret shows",
    holds: ["R3", "C24"],
    async run(stage) {
      const scheme = stage.url.slice(0, stage.url.indexOf(":"));
      const wrong = [
        `${scheme}://u:s3cret@[`,
        `${scheme}://u:s3cret@host/%zz`,
        "u:s3cret@host",
        "//u:s3cret@host",
      ];
      for (const url of [...wrong, "nosuch://u:s3cret@host/?password=s3cret"]) {
        const error = await failure(getCoordinator(url));
        assert.ok(
          error instanceof
            (url.startsWith("nosuch") || url.startsWith("u:") ? UnknownDriverError : TypeError),
        );
        assert.doesNotMatch(`${error.message} ${error.stack}`, /s3cret/);
      }
    },
  },
  {
    name: "a backend that lacks a characteristic is DriverChosenPoorlyError, before anything is opened",
    holds: ["C8"],
    async run(stage) {
      const lacking = ALL.filter((each) => !stage.characteristics.has(each));
      const error = await failure(stage.open({ characteristics: lacking }));
      assert.ok(error instanceof DriverChosenPoorlyError, String(error));
      assert.deepEqual([error.code, error.driver], ["DRIVER_CHOSEN_POORLY", stage.driver]);
      for (const each of lacking) assert.match(error.message, new RegExp(each));
      const coord = await stage.open({ characteristics: stage.characteristics });
      assert.equal(coord.state, "connected");
    },
  },
  {
    name: "two namespaces do not meet",
    holds: ["C9"],
    async run(stage) {
      const name = stage.name("name");
      const memberId = stage.name("member");
      const one = await stage.open({ memberId, namespace: `${stage.namespace}-1` });
      const two = await stage.open({ memberId, namespace: `${stage.namespace}-2` });
      const leases = await Promise.all([one, two].map((coord) => coord.lock(name).tryAcquire()));
      assert.ok(leases[0] && leases[1]);
      assert.ok(await one.election(name).tryCampaign({ value: "1" }));
      assert.equal(await two.election(name).leader(), undefined);
      assert.ok(await two.election(name).tryCampaign({ value: "2" }));
      await one.group(name).join({ n: 1 }, { create: true });
      assert.deepEqual(await two.groups(), []);
      await two.group(name).join({ n: 2 }, { create: true });
      assert.deepEqual((await one.group(name).member(memberId)).capabilities, { n: 1 });
      assert.equal(await one.lock(name).break(), true);
      assert.equal(await leases[1].isHeld(), true);
      await one.close();
      assert.deepEqual((await two.lock(name).holders()).length, 1);
      assert.equal((await two.election(name).leader())?.value, "2");
    },
  },
  {
    name: "a ttl, a margin and a heartbeat that cannot be are refused",
    holds: ["R3", "C10", "C11", "C12"],
    async run(stage) {
      const wrong = [{ ttl: 0 }, { ttl: NaN }, { ttl: Infinity }, { margin: -1 }, {
        ttl: 1_000,
        margin: 3_000,
      }];
      for (const each of wrong) assert.ok(await failure(stage.open(each)) instanceof RangeError);
      assert.ok(await failure(stage.open({ heartbeat: "never" as "auto" })) instanceof TypeError);
    },
  },
];
