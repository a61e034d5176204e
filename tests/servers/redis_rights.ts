import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/** The rights that the driver's page names, as the words of an ACL after the password, for a pattern of namespaces. */
export function redisRights(namespace = "tooz"): string[] {
  const page = readFileSync(new URL("../../docs/drivers/redis.md", import.meta.url), "utf8");
  const line = /^ACL SETUSER coord on >PASSWORD (.*)$/m.exec(page)?.[1];
  assert.ok(line, "the page of redis has an ACL");
  return line.replaceAll("NS", namespace).split(" ");
}
