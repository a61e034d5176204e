// What the driver makes of a server that lets nobody in.
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { CapacityError, ConnectionError, getCoordinator } from "../../mod.ts";
import { eventually, failure, within } from "../conformance/waiting.ts";
import { findBinary } from "../servers/binaries.ts";
import { startConsul } from "../servers/consul.ts";
import { Fake, http } from "./consul_world.ts";

const OPTIONS = { skip: !findBinary("consul"), timeout: 60_000 };

test("who asks a server that turns him away for a limit is told of that at the deadline", async () => {
  const answers: [string, RegExp][] = [
    ["Your IP is issuing too many concurrent connections", /raise its http_max_conns_per_client/],
    ["rate limit exceeded", /raise its rpc_rate, or request_limits/],
  ];
  for (const [says, advice] of answers) {
    let isFull = true;
    await using fake = await Fake.start(() =>
      isFull ? http("429 Too Many Requests", says, "text/plain") : http("200 OK", '{"ID":"s"}')
    );
    const url = `consul://127.0.0.1:${fake.port}`;
    const refused = await within(failure(getCoordinator(url, { ttl: 3_000 })), "it is refused");
    assert.ok(refused instanceof CapacityError && advice.test(refused.message), String(refused));
    isFull = false;
    await using coord = await getCoordinator(`${url}?timeout=1000`, { ttl: 20_000, heartbeat: "manual" });
    isFull = true;
    const asked = fake.requests.length;
    const call = await within(failure(coord.groups()), "the call is refused");
    assert.ok(call instanceof CapacityError && advice.test(call.message), String(call));
    // It was asked again until then.
    assert.ok(fake.requests.length > asked + 1);
  }
});

/** Takes all the connections that a server has, and any that comes free. */
class Crowd implements Disposable {
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #isOver = false;

  constructor(port: number, size: number) {
    this.#port = port;
    for (let i = 0; i < size; i++) this.#linger();
  }

  /** Begins a request and leaves it at that, on a connection that counts; one that is turned away comes again. */
  #linger(): void {
    const socket = connect(this.#port, "127.0.0.1", () => socket.write("GET /v1/kv/x HTTP/1.1\r\n"));
    this.#sockets.add(socket);
    socket.on("error", () => {}); // It is turned away, or the server is stopped.
    socket.on("close", () => {
      this.#sockets.delete(socket);
      if (!this.#isOver) setTimeout(() => this.#isOver || this.#linger(), 10);
    });
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const socket of this.#sockets) socket.destroy();
  }
}

test("a server that closes connections for it has too many is waited for, and named", OPTIONS, async () => {
  await using server = await startConsul({ args: ["-hcl=limits { http_max_conns_per_client = 3 }"] });
  await using coord = await getCoordinator(server.url, { ttl: 20_000, heartbeat: "manual" });
  const lease = await coord.lock("l").acquire();
  using crowd = new Crowd(server.port, 3);
  const open = () => getCoordinator(server.url, { ttl: 3_000 });
  const refused = await eventually(() => within(failure(open()), "it has an answer"));
  assert.ok(refused instanceof ConnectionError, String(refused));
  assert.match(refused.message, /no connection left for this address: raise http_max_conns_per_client/);
  const call = coord.lock("other").tryAcquire();
  await eventually(() => coord.state === "suspended");
  crowd[Symbol.dispose]();
  assert.ok(await within(call, "the call is carried out"));
  assert.equal(await lease.release(), true);
  await using _ = await eventually(open);
});
