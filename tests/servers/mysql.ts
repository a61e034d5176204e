import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type Binary, fetchedFolders, requireBinary, type Suite } from "./binaries.ts";
import { Authority, type Particulars } from "./certificates.ts";
import { freePort } from "./ports.ts";
import { ask } from "./probe.ts";
import { serverDir, type ServerProcess, startServer } from "./server.ts";

export interface MysqlServerOptions {
  /** Of MariaDB: bookworm has 10.11, trixie has 11.8. Default: what there is, bookworm before trixie. */
  suite?: Suite | undefined;
  /** That of the user "coord", whose is the database of the same name. Default: empty. */
  password?: string | undefined;
  /** Speaks TLS only, with clients that have a certificate of the same authority; what is special about its own. */
  tls?: boolean | Particulars;
  args?: readonly string[];
}

/** Where a product keeps what its program needs, and how it makes its first data. */
interface Product {
  readonly name: string;
  readonly binary: Binary;
  readonly flags: readonly string[];
  /** Makes what a new server has, into a folder that does not exist yet. */
  readonly initialize: (data: string) => void;
}

/** Enough for kill -9: what was written survives the process, if not the machine. */
const FLAGS = ["--skip-log-bin", "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=16M"];

/** Starts a MariaDB of its own; its data outlive a kill -9. `await using` ends it. */
export async function startMariadb(options: MysqlServerOptions = {}): Promise<ServerProcess> {
  const { suite } = options;
  const binary = requireBinary("mariadbd", suite);
  const base = baseOf(binary, suite ?? "bookworm");
  const flags = [...where(base), ...FLAGS, "--innodb-log-file-size=4M", "--innodb-use-native-aio=0"];
  const initialize = (data: string) => {
    mkdirSync(join(data, "mysql"), { recursive: true });
    const command = [binary.file, ...flags, `--datadir=${data}`, "--bootstrap", "--skip-grant-tables"];
    execute(command, binary, mariadbTables(base));
  };
  return await start({ name: "mariadb", binary, flags, initialize }, options);
}

/** Starts a MySQL of its own, that of Debian sid; its data outlive a kill -9. `await using` ends it. */
export async function startMysql(options: MysqlServerOptions = {}): Promise<ServerProcess> {
  const binary = requireBinary("mysqld", "sid");
  const flags = [...where(baseOf(binary, "sid")), ...FLAGS, "--innodb-redo-log-capacity=8M", "--mysqlx=OFF"];
  const initialize = (data: string) => {
    execute([binary.file, ...flags, `--datadir=${data}`, "--initialize-insecure"], binary);
    // A server's own id.
    rmSync(join(data, "auto.cnf"), { force: true });
  };
  return await start(
    { name: "mysql", binary, flags: [...flags, "--secure-file-priv=NULL"], initialize },
    options,
  );
}

async function start(product: Product, options: MysqlServerOptions): Promise<ServerProcess> {
  const { name, binary, flags } = product;
  const { password = "", tls = false, args = [] } = options;
  const [port, dir] = [await freePort(), serverDir(name)];
  const data = join(dir, "data");
  execFileSync("cp", ["-a", "--sparse=always", "--reflink=auto", template(product), data]);
  writeFileSync(join(dir, "init.sql"), users(password, tls !== false).join("\n"));
  const authority = tls ? new Authority(join(dir, "tls"), tls) : undefined;
  // The client verifies names and no addresses.
  const query = authority ? `?tls=true&${authority.query()}&servername=localhost` : "";
  const own = [
    `--datadir=${data}`,
    `--port=${port}`,
    `--socket=${dir}/socket`,
    `--pid-file=${dir}/pid`,
    `--init-file=${dir}/init.sql`,
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--max-connections=1000",
  ];
  return await startServer({
    name,
    port,
    dir,
    command: [binary.file, ...flags, ...own, ...authority ? secure(authority) : [], ...args],
    env: binary.env,
    probe: () => ask(port, { send: "", expect: /\d+\.\d+\.\d+/ }),
    url: (reached) => `mysql://coord:${encodeURIComponent(password)}@127.0.0.1:${reached}/coord${query}`,
  });
}

/** "coord" may do what the driver needs and no more; "admin" may do everything, for tests that play the operator. */
function users(password: string, isSecure: boolean): string[] {
  return [
    "CREATE DATABASE IF NOT EXISTS coord;",
    `CREATE USER IF NOT EXISTS coord@'%' IDENTIFIED BY '${password}'${isSecure ? " REQUIRE X509" : ""};`,
    "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON coord.* TO coord@'%';",
    "CREATE USER IF NOT EXISTS admin@'%' IDENTIFIED BY '';",
    "GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;",
    "",
  ];
}

function secure({ ca, server }: Authority): string[] {
  return [
    `--ssl-ca=${ca}`,
    `--ssl-cert=${server.cert}`,
    `--ssl-key=${server.key}`,
    "--require-secure-transport=ON",
  ];
}

/** The data of a new server, made once on this machine and copied. */
function template(product: Product): string {
  const version = execFileSync(product.binary.file, ["--version"], {
    encoding: "utf8",
    env: { ...process.env, ...product.binary.env },
  });
  const number = /\d+\.\d+\.\d+/.exec(version)?.[0];
  const made = join(tmpdir(), `coord-${product.name}-template-${number}`);
  if (existsSync(made)) return made;
  const making = `${made}.${process.pid}`;
  product.initialize(making);
  try {
    renameSync(making, made);
  } catch {
    // Another process was faster.
    rmSync(making, { recursive: true });
  }
  return made;
}

/** Where the files lie that stand beside a program. */
function baseOf(binary: Binary, suite: Suite): string {
  const bases = fetchedFolders(suite).flatMap((folder) => [`${folder}/whole/usr`, `${folder}/usr`]);
  const near = binary.file.replace(/\/s?bin\/[^/]+$/, "");
  return [...bases, near].find((base) => existsSync(`${base}/share/${wordOf(base)}`)) ?? near;
}

/** What folders and files of the product are called: MariaDB has a name of its own from 11 on. */
function wordOf(base: string): string {
  return existsSync(`${base}/share/mariadb`) ? "mariadb" : "mysql";
}

function where(base: string): string[] {
  const word = wordOf(base);
  const folders = [`--lc-messages-dir=${base}/share/${word}`, `--plugin-dir=${base}/lib/${word}/plugin`];
  return ["--no-defaults", "--user=root", `--basedir=${base}`, ...folders];
}

function mariadbTables(base: string): string {
  const word = wordOf(base);
  const files = ["system_tables", "performance_tables", "system_tables_data"];
  const head = "CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n" +
    "SET @current_hostname = 'localhost';\nSET @skip_auth_anonymous = 1;\n";
  const read = (file: string) => readFileSync(`${base}/share/${word}/${word}_${file}.sql`, "utf8");
  return head + files.map(read).join("\n");
}

function execute([file = "", ...args]: string[], { env }: Binary, input = ""): void {
  execFileSync(file, args, { input, env: { ...process.env, ...env }, stdio: ["pipe", "ignore", "ignore"] });
}
