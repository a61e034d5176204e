/** What runtimes and servers say of TLS, each in its own words, and what that means. */
const TLS_FAILURES: readonly (readonly [RegExp, string])[] = [
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
    /alert.*(bad.?certificate|unknown.?ca|certificate.?unknown|certificate.?expired)/i,
    'the server refuses the certificate of the client, or wants one: see the options "cert" and "key"',
  ],
  [
    /wrong.version.number|packet length too long|InvalidContentType|InvalidMessage/i,
    "the server does not speak TLS",
  ],
];

/** Why something failed, for people. */
export function reasonOf(cause: unknown): string {
  const said = cause instanceof Error ? cause.message : "no answer in time";
  const [, meaning] = TLS_FAILURES.find(([words]) => words.test(said)) ?? [];
  return meaning ?? said;
}
