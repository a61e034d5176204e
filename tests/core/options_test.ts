import assert from "node:assert/strict";
import { test } from "node:test";
import type { Characteristic } from "../../characteristics.ts";
import { type CoordinatorOptions, DriverChosenPoorlyError, getCoordinator } from "../../mod.ts";
import { zake, type ZakeBackend } from "../../drivers/zake.ts";
import type { Opener, OpenOptions } from "../../driver.ts";

/** The options with which core opens a session. */
async function opened(backend: ZakeBackend, options: CoordinatorOptions = {}): Promise<OpenOptions> {
  // Our factories return openers; `Backend` hides that from users only.
  const opener = backend as ZakeBackend & Opener;
  const asked: OpenOptions[] = [];
  const spy: Opener = {
    driver: opener.driver,
    characteristics: opener.characteristics,
    clock: opener.clock,
    defaults: opener.defaults,
    open: (options) => {
      asked.push(options);
      return opener.open(options);
    },
  };
  await using _coord = await getCoordinator(spy, options);
  assert.ok(asked[0]);
  return asked[0];
}

test("getCoordinator() has the defaults that the page says [C7, C9, C10]", async () => {
  const asked = await opened(zake());
  assert.match(asked.memberId, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.equal(asked.namespace, "tooz");
  assert.equal(asked.ttl, 30_000);
  assert.notEqual((await opened(zake())).memberId, asked.memberId);
});

test("getCoordinator() takes its options from the URL, and code wins [C22]", async () => {
  const url = "zake://?memberId=url&namespace=from-url&ttl=5000";
  const fromUrl = await opened(zake(url));
  assert.deepEqual([fromUrl.memberId, fromUrl.namespace, fromUrl.ttl], ["url", "from-url", 5_000]);
  const fromCode = await opened(zake(url), { memberId: "code", ttl: 9_000 });
  assert.deepEqual([fromCode.memberId, fromCode.namespace, fromCode.ttl], ["code", "from-url", 9_000]);
});

test("getCoordinator() bounds an operation by a third of the ttl, and by 10 s [S16]", async () => {
  assert.equal((await opened(zake(), { ttl: 3_000 })).timeout, 1_000);
  assert.equal((await opened(zake(), { ttl: 3_600_000 })).timeout, 10_000);
});

test("getCoordinator() names the nearest option for one that it does not know [C23]", async () => {
  // As plain JavaScript would.
  const options = { memberID: "x" } as CoordinatorOptions;
  await assert.rejects(getCoordinator(zake(), options), (error: Error) => {
    assert.ok(error instanceof TypeError);
    assert.match(error.message, /"memberID".*did you mean "memberId"\?/);
    return true;
  });
  assert.throws(() => zake("zake://?sede=1"), /"sede".*did you mean "seed"\?/);
});

const WRONG: Readonly<Record<string, [CoordinatorOptions, typeof TypeError | typeof RangeError]>> = {
  "ttl 0": [{ ttl: 0 }, RangeError],
  "a negative ttl": [{ ttl: -1 }, RangeError],
  "an infinite ttl": [{ ttl: Infinity }, RangeError],
  "ttl NaN": [{ ttl: NaN }, RangeError],
  "a ttl that is a string": [{ ttl: "30" as unknown as number }, TypeError],
  "a ttl that is null": [{ ttl: null as unknown as number }, TypeError],
  "a margin that is null": [{ margin: null as unknown as number }, TypeError],
  "a member id that is null": [{ memberId: null as unknown as string }, TypeError],
  "a namespace that is null": [{ namespace: null as unknown as string }, TypeError],
  "a heartbeat that is null": [{ heartbeat: null as unknown as "auto" }, TypeError],
  "a margin as long as the ttl": [{ ttl: 1_000, margin: 1_000 }, RangeError],
  "a negative margin": [{ margin: -1 }, RangeError],
  "an unknown heartbeat": [{ heartbeat: "never" as "auto" }, TypeError],
  "an empty member id": [{ memberId: "" }, TypeError],
  "a namespace with NUL": [{ namespace: "a\0" }, TypeError],
  "a member id of 1,025 bytes": [{ memberId: "x".repeat(1025) }, TypeError],
};

for (const [what, [options, kind]] of Object.entries(WRONG)) {
  test(`getCoordinator() refuses ${what} [R3]`, async () => {
    await assert.rejects(getCoordinator(zake(), options), kind);
  });
}

test("getCoordinator() refuses a backend that lacks a characteristic, and says which [C8]", async () => {
  const characteristics: Characteristic[] = ["FAIR", "DURABLE_FENCING", "CRASH_RELEASE"];
  await assert.rejects(getCoordinator(zake(), { characteristics }), (error: Error) => {
    assert.ok(error instanceof DriverChosenPoorlyError);
    assert.match(error.message, /it lacks DURABLE_FENCING, CRASH_RELEASE$/);
    assert.deepEqual([error.code, error.driver], ["DRIVER_CHOSEN_POORLY", "zake"]);
    return true;
  });
});

test("getCoordinator() refuses characteristics that are no list [R3]", async () => {
  for (const wrong of ["FAIR", 7, null]) {
    const characteristics = wrong as unknown as Characteristic[];
    await assert.rejects(getCoordinator(zake(), { characteristics }), (error: Error) => {
      assert.ok(error instanceof TypeError);
      assert.match(error.message, /^Cannot use characteristics .*: want a list/);
      return true;
    });
  }
});

test("getCoordinator() takes a backend that has what was asked for [C8, C39]", async () => {
  await using coord = await getCoordinator(zake(), { characteristics: new Set<Characteristic>(["FAIR"]) });
  assert.ok(coord.characteristics.has("FAIR"));
  assert.equal(coord.driver, "zake");
});

test("getCoordinator() gives up connecting when its signal aborts [C14, R4]", async () => {
  const reason = new Error("enough");
  await assert.rejects(
    getCoordinator(zake(), { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  const controller = new AbortController();
  const hanging: Opener = {
    ...(zake() as ZakeBackend & Opener),
    open: ({ signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason), { once: true })
      ),
  };
  const opening = getCoordinator(hanging, { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(opening, (error) => error === reason);
});
