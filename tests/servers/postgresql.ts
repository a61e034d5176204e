import { execFile, execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { fetchedFolders, type Suite } from "./binaries.ts";
import { Authority, type Particulars } from "./certificates.ts";
import { freePort } from "./ports.ts";
import { ask } from "./probe.ts";
import { serverDir, type ServerProcess, type ServerSpec, startServer } from "./server.ts";

/** Where Debian puts the server programs, which are not on PATH. */
const VERSIONS = "/usr/lib/postgresql";

export interface PostgresqlServerOptions {
  /** Which one of several; default: the newest that is installed. */
  readonly suite?: Suite | undefined;
  /** Asks everybody for it who connects; default: nobody is asked. */
  readonly password?: string | undefined;
  /** Speaks TLS only, with clients that have a certificate of the same authority; what is special about its own. */
  readonly tls?: boolean | Particulars;
  /** `name=value` each, as in postgresql.conf. */
  readonly settings?: readonly string[];
  /** An address besides 127.0.0.1 to listen on, where everybody is let in. */
  readonly address?: string;
  /**
   * Where the server is reached of which this one is to be the standby, that can be read only; asked at each start,
   * before which its data are made anew. Default, and undefined: it is no standby.
   */
  readonly primary?: () => number | undefined;
}

/** The folder of the server programs, of the newest version that there is; undefined: there is none. */
export function findPostgresql(suite?: Suite): string | undefined {
  const homes = suite === undefined ? [VERSIONS] : fetchedFolders(suite).map((folder) => folder + VERSIONS);
  const folders = homes.flatMap((home) => {
    const versions = existsSync(home) ? readdirSync(home) : [];
    return versions.sort((a, b) => Number(b) - Number(a)).map((each) => `${home}/${each}/bin`);
  });
  const onPath = (process.env.PATH ?? "").split(":").filter((folder) => folder !== "");
  const all = suite === undefined ? [...folders, ...onPath] : folders;
  return all.find((folder) => existsSync(`${folder}/initdb`));
}

const isRoot = process.getuid?.() === 0;

/** As nobody in a namespace of its own, who is root outside, and so reaches every folder that root does. */
const AS_NOBODY = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"];

/** Where there are no such namespaces. */
const AS_ANOTHER = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"];

const [namespaces = "", ...namespace] = [...AS_NOBODY, "true"];
const isNobody = isRoot && spawnSync(namespaces, namespace).status === 0;

/** The server refuses to run as root. */
function unprivileged(): string[] {
  if (!isRoot) return [];
  // Here and not before: who becomes another user does not die with its parent any more.
  return [...(isNobody ? AS_NOBODY : AS_ANOTHER), "setpriv", "--pdeathsig", "KILL", "--"];
}

/** Gives a file or folder to the server. */
function handOver(path: string): void {
  if (isRoot && !isNobody) run(["chown", "postgres", path]);
}

function run(words: readonly string[]): void {
  const [file = "", ...args] = words;
  execFileSync(file, args, { stdio: "ignore", cwd: tmpdir() });
}

/** A new database cluster; made once on this machine, copied from then on. */
function makeData(bin: string, dir: string): void {
  const owner = isNobody ? "nobody" : "own";
  const template = join(tmpdir(), `coord-postgresql-of-${owner}-${bin.replace(/\W/g, "-")}`);
  if (!existsSync(template)) {
    const init = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"];
    run([...unprivileged(), `${bin}/initdb`, "-D", join(dir, "data"), ...init]);
    run(["cp", "-a", join(dir, "data"), `${template}.${process.pid}`]);
    try {
      renameSync(`${template}.${process.pid}`, template);
    } catch {
      rmSync(`${template}.${process.pid}`, { recursive: true }); // Another process was quicker.
    }
  } else run(["cp", "-a", "--reflink=auto", template, join(dir, "data")]);
}

/** Everything of a running server, with the word that makes a standby of it. */
async function copyData(bin: string, dir: string, { port, password }: { port: number; password?: string }) {
  const data = join(dir, "data");
  rmSync(data, { recursive: true, force: true });
  const from = ["-h", "127.0.0.1", "-p", `${port}`, "-U", "postgres", "--checkpoint=fast", "--no-sync", "-R"];
  const [file = "", ...args] = [...unprivileged(), `${bin}/pg_basebackup`, "-D", data, ...from];
  const env = { ...process.env, ...(password === undefined ? {} : { PGPASSWORD: password }) };
  await promisify(execFile)(file, args, { cwd: tmpdir(), env });
}

/** What a client says first; the server answers it only once it has recovered. */
export function hello(): string {
  const body = "\0\x03\0\0user\0postgres\0database\0postgres\0\0";
  return `\0\0\0${String.fromCharCode(body.length + 4)}${body}`;
}

/** Starts a PostgreSQL of its own; `await using` ends it. Its superuser is `postgres`. */
export async function startPostgresql(options: PostgresqlServerOptions = {}): Promise<ServerProcess> {
  return await startServer(await postgresqlSpec(options));
}

/** What a PostgreSQL of its own is. */
export async function postgresqlSpec(options: PostgresqlServerOptions): Promise<ServerSpec> {
  const { suite, password, tls = false, settings = [], address } = options;
  const bin = findPostgresql(suite);
  if (bin === undefined) {
    const where = suite === undefined ? `neither in ${VERSIONS} nor on PATH` : `not in .servers/${suite}`;
    throw new Error(`Cannot start "postgres": it is ${where}`);
  }
  const [port, dir] = [await freePort(), serverDir("postgresql")];
  chmodSync(dir, 0o755);
  handOver(dir);
  const authority = tls ? new Authority(join(dir, "tls"), tls) : undefined;
  const conf = [
    `listen_addresses=127.0.0.1${address === undefined ? "" : `,${address}`}`,
    `port=${port}`,
    `unix_socket_directories=${dir}`,
    "max_connections=300",
    "shared_buffers=16MB",
    // What was written stays written when processes are killed; only a power cut would show the difference.
    "fsync=off",
    "full_page_writes=off",
    // In the directory: what a killed server has in shared memory stays there.
    "dynamic_shared_memory_type=mmap",
    ...authority ? encrypted(dir) : [],
    ...settings,
  ];
  const query = authority ? `?tls=true&${authority.query()}` : "";
  const user = password === undefined ? "postgres" : `postgres:${encodeURIComponent(password)}`;
  return {
    name: "postgresql",
    port,
    dir,
    command: [
      ...unprivileged(),
      `${bin}/postgres`,
      "-D",
      join(dir, "data"),
      ...conf.flatMap((c) => ["-c", c]),
    ],
    env: {},
    prepare: () => prepare(bin, dir, { ...options, authority }),
    // Who speaks no TLS is turned away only by a server that is ready.
    probe: () => ask(port, { send: hello(), expect: authority ? /no encryption/ : /^R/ }),
    url: (reached) => `postgresql://${user}@127.0.0.1:${reached}/postgres${query}`,
  };
}

/** Makes the data of a server that has none yet, or that is to follow another. */
async function prepare(
  bin: string,
  dir: string,
  options: PostgresqlServerOptions & { authority: Authority | undefined },
): Promise<void> {
  const { password, address, authority } = options;
  const port = options.primary?.();
  if (port !== undefined) {
    return await copyData(bin, dir, { port, ...password === undefined ? {} : { password } });
  }
  if (existsSync(join(dir, "data"))) return;
  makeData(bin, dir);
  if (authority) secure(dir, authority);
  if (address !== undefined) {
    appendFileSync(join(dir, "data", "pg_hba.conf"), `host all all ${address}/24 trust\n`);
  }
  if (password !== undefined) askForPassword(bin, dir, password);
  if (authority) letInCertified(dir, password === undefined ? "trust" : "scram-sha-256");
}

/** Where the server finds what it needs for TLS. */
function filesOfTls(dir: string): { cert: string; key: string; ca: string } {
  const data = join(dir, "data");
  return { cert: join(data, "cert.pem"), key: join(data, "key.pem"), ca: join(data, "ca.pem") };
}

function encrypted(dir: string): string[] {
  const { cert, key, ca } = filesOfTls(dir);
  return ["ssl=on", `ssl_cert_file=${cert}`, `ssl_key_file=${key}`, `ssl_ca_file=${ca}`];
}

/** The server's key must be its user's alone. */
function secure(dir: string, authority: Authority): void {
  const { cert, key, ca } = filesOfTls(dir);
  const { server } = authority;
  for (const [from, to] of [[server.cert, cert], [server.key, key], [authority.ca, ca]] as const) {
    copyFileSync(from, to);
    chmodSync(to, 0o600);
    handOver(to);
  }
}

function letInCertified(dir: string, method: string): void {
  const file = join(dir, "data", "pg_hba.conf");
  writeFileSync(file, `hostssl all all all ${method} clientcert=verify-ca\nlocal all all trust\n`);
}

/** Gives the superuser a password, and lets in nobody without. */
function askForPassword(bin: string, dir: string, password: string): void {
  const data = join(dir, "data");
  const sql = `alter user postgres password '${password.replaceAll("'", "''")}'`;
  const [file = "", ...args] = [...unprivileged(), `${bin}/postgres`, "--single", "-D", data, "postgres"];
  execFileSync(file, args, { input: `${sql}\n`, stdio: ["pipe", "ignore", "ignore"], cwd: tmpdir() });
  const who = ["host all all all", "host replication all all", "local all all"];
  writeFileSync(join(data, "pg_hba.conf"), who.map((each) => `${each} scram-sha-256\n`).join(""));
}
