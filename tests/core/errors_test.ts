import assert from "node:assert/strict";
import { test } from "node:test";
import * as coord from "../../mod.ts";

const KINDS = {
  DriverChosenPoorlyError: "DRIVER_CHOSEN_POORLY",
  UnknownDriverError: "UNKNOWN_DRIVER",
  ConnectionError: "CONNECTION",
  SessionLostError: "SESSION_LOST",
  LockLostError: "LOCK_LOST",
  LockBrokenError: "LOCK_BROKEN",
  AcquireTimeoutError: "ACQUIRE_TIMEOUT",
  GroupNotCreatedError: "GROUP_NOT_CREATED",
  GroupAlreadyExistError: "GROUP_ALREADY_EXIST",
  GroupNotEmptyError: "GROUP_NOT_EMPTY",
  MemberAlreadyExistError: "MEMBER_ALREADY_EXIST",
  MemberNotJoinedError: "MEMBER_NOT_JOINED",
  SerializationError: "SERIALIZATION",
  CapacityError: "CAPACITY",
  ClosedError: "CLOSED",
} as const;

test("every error of the page is a CoordError with a code, a driver and a cause [R1, R2]", () => {
  const codes = new Set<string>();
  // The keys are those of mod.ts; that all of them are there is what is tested.
  for (const [name, code] of Object.entries(KINDS) as [keyof typeof KINDS, string][]) {
    const cause = new Error("inner");
    const error = new coord[name]("Cannot do it: no", { driver: "zake", cause });
    assert.ok(error instanceof coord.CoordError && error instanceof Error);
    assert.deepEqual([error.name, error.code, error.driver, error.cause], [name, code, "zake", cause]);
    assert.equal(String(error), `${name}: Cannot do it: no`);
    assert.equal("cause" in new coord[name]("x"), false);
    codes.add(error.code);
  }
  assert.equal(codes.size, Object.keys(KINDS).length);
});

test("LockBrokenError is a LockLostError, and nothing else is below another [R2]", () => {
  assert.ok(new coord.LockBrokenError("x") instanceof coord.LockLostError);
  assert.ok(!(new coord.LockLostError("x") instanceof coord.LockBrokenError));
  for (const name of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
    if (name === "LockBrokenError") continue;
    assert.equal(Object.getPrototypeOf(coord[name]), coord.CoordError, name);
  }
});
