// What runtimes and servers say, word for word, and what is made of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { reasonOf, refusalOf } from "../../internal/reason.ts";

const CLIENT = 'the certificate of the client has expired: see the options "cert" and "key"';

test("a certificate that a server says has expired is the client's, one that we say so of is the server's", () => {
  const theirs = [
    "received fatal alert: CertificateExpired",
    "error:10000415:SSL routines:OPENSSL_internal:SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "40FDA883CC7F0000:error:0A000415:SSL routines:ssl3_read_bytes:ssl/tls alert certificate expired:../rec_layer_s3.c:918:SSL alert number 45\n",
  ];
  for (const said of theirs) assert.equal(reasonOf(new Error(said)), CLIENT);
  for (const said of ["certificate has expired", "CERT_HAS_EXPIRED"]) {
    assert.equal(reasonOf(new Error(said)), "the server's certificate has expired");
  }
});

test("what a server says to a wrong password is told with what to look at", () => {
  const see = 'see the options "user" and "password"';
  const advised: [string, string][] = [
    ["WRONGPASS invalid username-password pair or user is disabled.", see],
    ["NOAUTH HELLO must be called with the client already authenticated", see],
    ["3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password", see],
    ['password authentication failed for user "postgres"', see],
    ['the server answered "CLIENT_ERROR authentication failure"', see],
    ['the server answered "CLIENT_ERROR unauthenticated"', see],
    ["ACL not found", 'the server knows no such token, see the option "password"'],
    [
      "SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string",
      'the server wants a password, see the option "password"',
    ],
  ];
  for (const [said, advice] of advised) {
    assert.equal(reasonOf(new Error(said)), `${said.replace(/\.$/, "")}: ${advice}`);
  }
  assert.equal(reasonOf(new Error("OOM command not allowed")), "OOM command not allowed");
});

test("a connection that is closed as it is made says what that may mean; one that was made says what it is", () => {
  const closed = [
    "read ECONNRESET",
    "14 UNAVAILABLE: No connection established. Last error: write EPIPE (2026-12-01T06:12:08.212Z). Resolution note: ",
    "Client network socket disconnected before secure TLS connection was established",
    "14 UNAVAILABLE: No connection established. Last error: Failed to connect (2026-12-01T06:13:08.713Z). Resolution note: ",
  ];
  for (const said of closed) {
    assert.match(refusalOf(new Error(said)), /it wants TLS, or none, or a certificate of the client$/);
    assert.equal(reasonOf(new Error(said)), said);
  }
  assert.equal(
    refusalOf(new Error("connect ECONNREFUSED 127.0.0.1:1")),
    "connect ECONNREFUSED 127.0.0.1:1",
  );
});
