import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { requireBinary } from "./binaries.ts";
import type { ProbeTls } from "./probe.ts";

/** A certificate and its private key: paths of files in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** What is special about a certificate. */
export interface Particulars {
  /** Names and addresses that it is good for; default: this machine's. */
  readonly names?: string;
  /** The common name, by which some servers know a client; default "test". */
  readonly subject?: string;
  /** From and until when it is good; default: from yesterday until tomorrow. */
  readonly from?: Date;
  readonly until?: Date;
}

const DAY = 86_400_000;
const HERE = "DNS:localhost,IP:127.0.0.1";

/** As openssl has it. */
function stamp(date: Date): string {
  return `${date.toISOString().replaceAll(/[-:T]|\.\d+/g, "")}`;
}

/** Signs certificates. */
export class Authority {
  /** The path of its own certificate. */
  readonly ca: string;
  /** What it has signed for the server. */
  readonly server: Certificate;
  readonly #dir: string;

  /**
   * @param dir A folder to make, for all its files; one that is there has an authority, which goes on.
   * @param server What is special about the server's certificate; true: nothing.
   */
  constructor(dir: string, server: Particulars | true) {
    this.#dir = dir;
    this.ca = join(dir, "ca.pem");
    if (!existsSync(dir)) this.#found();
    this.server = this.sign(server === true ? {} : server);
  }

  #found(): void {
    mkdirSync(this.#dir);
    writeFileSync(join(this.#dir, "index.txt"), "");
    writeFileSync(join(this.#dir, "ca.cnf"), CONFIG);
    this.#openssl(
      ...["req", "-x509", ...NEW_KEY, "-days", "2", "-subj", "/CN=coord-test-ca"],
      ...["-keyout", "ca.key", "-out", "ca.pem"],
    );
  }

  /** The text of its own certificate. */
  get pem(): string {
    return readFileSync(this.ca, "utf8");
  }

  /** What a client's URL says so that it trusts, and is trusted: with a certificate of its own. */
  query(particulars?: Particulars): string {
    const { cert, key } = this.sign(particulars);
    return `ca=${this.ca}&cert=${cert}&key=${key}`;
  }

  /** What a probe needs to be let in; it may be the server's certificate that is wrong. */
  probe(): ProbeTls {
    const { cert, key } = this.sign();
    const own = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
    return { ca: this.pem, ...own, rejectUnauthorized: false };
  }

  /** Makes and signs a certificate. */
  sign(particulars: Particulars = {}): Certificate {
    const { names = HERE, subject = "test" } = particulars;
    const { from = new Date(Date.now() - DAY), until = new Date(Date.now() + DAY) } = particulars;
    const file = join(this.#dir, randomUUID());
    const [cert, key, request] = [`${file}.pem`, `${file}.key`, `${file}.csr`];
    this.#openssl("req", ...NEW_KEY, "-subj", `/CN=${subject}`, "-keyout", key, "-out", request);
    const extensions = `${file}.ext`;
    writeFileSync(extensions, `subjectAltName=${names}\nextendedKeyUsage=serverAuth,clientAuth\n`);
    this.#openssl(
      ...["ca", "-batch", "-config", "ca.cnf", "-in", request, "-out", cert, "-notext"],
      ...["-startdate", stamp(from), "-enddate", stamp(until), "-extfile", extensions],
    );
    return { cert, key };
  }

  #openssl(...args: string[]): void {
    const { file, env } = requireBinary("openssl");
    // A machine without openssl has no configuration for it either.
    const own = { ...env, OPENSSL_CONF: join(this.#dir, "ca.cnf") };
    execFileSync(file, args, { cwd: this.#dir, env: { ...process.env, ...own }, stdio: "pipe" });
  }
}

/** Made in a few milliseconds, unlike a key of RSA. */
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

const CONFIG = `
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
unique_subject = no
policy = any
rand_serial = yes
[any]
commonName = supplied
[req]
distinguished_name = asked
x509_extensions = authority
[asked]
[authority]
basicConstraints = critical, CA:true
subjectKeyIdentifier = hash
`;
