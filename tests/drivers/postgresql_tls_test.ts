// libpq's words for TLS, each on a real server.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";
import { ConnectionError } from "../../core/errors.ts";
import { postgresql } from "../../drivers/postgresql.ts";
import { getCoordinator } from "../../mod.ts";
import { failure, within } from "../conformance/waiting.ts";
import { hasServer } from "../servers/available.ts";
import { findBinary } from "../servers/binaries.ts";
import { Authority } from "../servers/certificates.ts";
import { startPostgresql } from "../servers/postgresql.ts";
import { askPostgresql } from "../servers/postgresql_pair.ts";

const OPTIONS = { skip: !hasServer("postgres") || !findBinary("openssl"), timeout: 120_000 };
const ttl = 12_000;

/** How many encrypted connections the server has besides the one that asks. */
const ENCRYPTED = "select count(*)::int from pg_stat_ssl where ssl and pid <> pg_backend_pid()";

/** The files that a URL of a server with TLS names. */
function filesOf(url: string): { readonly ca: string; readonly cert: string; readonly key: string } {
  const { searchParams } = new URL(url);
  const file = (name: string) => searchParams.get(name) ?? "";
  return { ca: file("ca"), cert: file("cert"), key: file("key") };
}

/** The URL of a server with these words in place of what it says of TLS. */
function saying(url: string, words: Readonly<Record<string, string>>): string {
  return `${url.replace(/\?.*/, "")}?${new URLSearchParams(words)}`;
}

async function refusal(url: string): Promise<string> {
  const error = await within(failure(getCoordinator(url, { ttl: 6_000 })), "it is refused", 30_000);
  assert.ok(error instanceof ConnectionError, inspect(error));
  return error.message;
}

/** Takes a lock and gives it back. */
async function works(url: string): Promise<void> {
  await using coord = await getCoordinator(url, { ttl });
  assert.equal(await coord.lock("l").use(() => "done"), "done");
}

test("sslmode=disable speaks plain text, and is refused where others ask for TLS", OPTIONS, async () => {
  await using open = await startPostgresql();
  await works(`${open.url}?sslmode=disable`);
  await using secure = await startPostgresql({ tls: true });
  assert.match(await refusal(saying(secure.url, { sslmode: "disable" })), /no encryption/);
  assert.throws(() => postgresql(`${secure.url}&sslmode=disable`), /"disable", but others ask for TLS/);
});

test("sslmode=require encrypts, with a certificate that nobody looks at", OPTIONS, async () => {
  await using server = await startPostgresql({ tls: { names: "DNS:other.example" } });
  const { cert, key } = filesOf(server.url);
  const url = saying(server.url, { sslmode: "require", sslcert: cert, sslkey: key });
  await using coord = await getCoordinator(url, { ttl });
  await using lease = await coord.lock("l").acquire();
  assert.equal(await lease.isHeld(), true);
  const asks = { url: saying(server.url, { sslmode: "no-verify", sslcert: cert, sslkey: key }) };
  assert.ok(Number(await askPostgresql(asks, ENCRYPTED)) > 0);
  await using open = await startPostgresql();
  assert.match(await refusal(`${open.url}?sslmode=require`), /does not support SSL/);
});

test("sslmode=require verifies where there is an sslrootcert", OPTIONS, async () => {
  const dir = mkdtempSync(join(tmpdir(), "coord-authority-"));
  try {
    await using server = await startPostgresql({ tls: true });
    const { ca, cert, key } = filesOf(server.url);
    const words = { sslmode: "require", sslcert: cert, sslkey: key };
    await works(saying(server.url, { ...words, sslrootcert: ca }));
    const other = new Authority(join(dir, "tls"), true).ca;
    assert.match(
      await refusal(saying(server.url, { ...words, sslrootcert: other })),
      /its authority is not known/,
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("sslmode=verify-full verifies the authority and the host", OPTIONS, async () => {
  await using server = await startPostgresql({ tls: true });
  const { ca, cert, key } = filesOf(server.url);
  const words = { sslmode: "verify-full", sslcert: cert, sslkey: key };
  await works(saying(server.url, { ...words, sslrootcert: ca }));
  assert.match(await refusal(saying(server.url, words)), /its authority is not known here/);
  await using foreign = await startPostgresql({ tls: { names: "DNS:other.example" } });
  const own = filesOf(foreign.url);
  assert.match(
    await refusal(
      saying(foreign.url, { ...words, sslcert: own.cert, sslkey: own.key, sslrootcert: own.ca }),
    ),
    /the server's certificate is not for this host/,
  );
});

test("sslcert and sslkey are the client's certificate, without which it is not let in", OPTIONS, async () => {
  await using server = await startPostgresql({ tls: true });
  const { ca, cert } = filesOf(server.url);
  const words = { sslmode: "verify-full", sslrootcert: ca };
  assert.match(await refusal(saying(server.url, words)), /wants a certificate of the client/);
  assert.throws(() => postgresql(saying(server.url, { ...words, sslcert: cert })), /want both/);
});
