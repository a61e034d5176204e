// The protocol as it is written down here says what the client's own files say.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import protobuf from "protobufjs";
import { addProtocol } from "../../drivers/etcd/protocol.ts";

const PACKAGES = ["mvccpb", "etcdserverpb"];

/** All that decides what the bytes of a message or the name of a call are; comments and options aside. */
function facts(thing: protobuf.ReflectionObject): unknown {
  if (thing instanceof protobuf.Enum) return thing.values;
  if (thing instanceof protobuf.Service) return null; // Its methods are compared one by one.
  if (thing instanceof protobuf.Method) {
    const { requestType, responseType, requestStream = false, responseStream = false } = thing;
    return { requestType, responseType, requestStream, responseStream };
  }
  assert.ok(thing instanceof protobuf.Type, thing.fullName);
  return thing.fieldsArray.map(({ name, id, type, repeated, partOf }) => ({
    name,
    id,
    type,
    repeated,
    oneof: partOf?.name,
  }));
}

/** Messages, enumerations and methods by their full names. */
function all(namespace: protobuf.NamespaceBase): Map<string, protobuf.ReflectionObject> {
  const found = new Map<string, protobuf.ReflectionObject>();
  const own = namespace instanceof protobuf.Service ? namespace.methodsArray : namespace.nestedArray;
  for (const each of own) {
    found.set(each.fullName, each);
    if (each instanceof protobuf.Namespace) { for (const [name, inner] of all(each)) found.set(name, inner); }
  }
  return found;
}

test("etcd's protocol is that of its client's files, as far as it is used", () => {
  const client = createRequire(import.meta.url).resolve("etcd3");
  const theirs = new protobuf.Root();
  theirs.loadSync(join(dirname(client), "../proto/rpc.proto"), { keepCase: true });
  const ours = addProtocol(new protobuf.Root());
  for (const name of PACKAGES) {
    const [mine, original] = [all(ours.lookup(name) as protobuf.Namespace), all(theirs)];
    assert.ok(mine.size >= 2);
    for (const [fullName, thing] of mine) {
      const same = original.get(fullName);
      assert.ok(same, fullName);
      const known = facts(same);
      // Of what can be asked for there may be less.
      const wanted = fullName === ".etcdserverpb.WatchRequest" ? (known as unknown[]).slice(0, 2) : known;
      assert.deepEqual(facts(thing), wanted, fullName);
    }
  }
});
