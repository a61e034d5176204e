/** What runtimes and servers say of TLS, each in its own words, and what that means. */
const TLS_FAILURES: readonly (readonly [RegExp, string])[] = [
  [
    /alert.*certificate.?expired/i,
    'the certificate of the client has expired: see the options "cert" and "key"',
  ],
  [/has expired|certificate expired|CERT_HAS_EXPIRED/i, "the server's certificate has expired"],
  [/altnames|NotValidForName/i, "the server's certificate is not for this host"],
  [
    // Deno says the same of both.
    /unable to verify|unable to get (local )?issuer|self.signed|UnknownIssuer/i,
    'the server\'s certificate has expired, or its authority is not known here: see the option "ca"',
  ],
  [
    /certificate.?required|requires a valid client certificate/i,
    'the server wants a certificate of the client: see the options "cert" and "key"',
  ],
  [
    /alert.*(bad.?certificate|unknown.?ca|certificate.?unknown)/i,
    'the server refuses the certificate of the client, or wants one: see the options "cert" and "key"',
  ],
  [
    /wrong.version.number|packet length too long|InvalidContentType|InvalidMessage/i,
    "the server does not speak TLS",
  ],
];

/** What servers say to who may not log in, and what to look at. */
const LOGIN_FAILURES: readonly (readonly [RegExp, string])[] = [
  [/^ACL not found/, 'the server knows no such token, see the option "password"'],
  [/client password must be a string/, 'the server wants a password, see the option "password"'],
  [
    /^WRONGPASS|^NOAUTH|authentication (failed|failure)|unauthenticated/,
    'see the options "user" and "password"',
  ],
];

/** What is said when a server ends a connection without a word. */
const CLOSED = /\b(EPIPE|ECONNRESET)\b|socket disconnected before|Last error: Failed to connect/;

/** Why something failed, for people. */
export function reasonOf(cause: unknown): string {
  const said = cause instanceof Error ? cause.message : "no answer in time";
  const [, meaning] = TLS_FAILURES.find(([words]) => words.test(said)) ?? [];
  if (meaning !== undefined) return meaning;
  const [, advice] = LOGIN_FAILURES.find(([words]) => words.test(said)) ?? [];
  return advice === undefined ? said : `${said.replace(/\.$/, "")}: ${advice}`;
}

/** Why a connection could not be made, for people. Not every server, nor every runtime, says what it is that TLS lacks. */
export function refusalOf(cause: unknown): string {
  const reason = reasonOf(cause);
  if (!CLOSED.test(reason)) return reason;
  return "the server closed the connection as it was made: it may be ending, or it wants TLS, or none, or a " +
    "certificate of the client";
}
