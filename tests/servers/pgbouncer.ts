import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { requireBinary } from "./binaries.ts";
import { freePort } from "./ports.ts";
import { hello } from "./postgresql.ts";
import { ask } from "./probe.ts";
import { serverDir, type ServerProcess, startServer } from "./server.ts";

/** Starts a PgBouncer before a PostgreSQL on this machine; `await using` ends it. */
export async function startPgbouncer(
  target: ServerProcess,
  mode: "session" | "transaction" | "statement",
): Promise<ServerProcess> {
  const { file, env } = requireBinary("pgbouncer");
  const [port, dir] = [await freePort(), serverDir("pgbouncer")];
  const config = join(dir, "pgbouncer.ini");
  const lines = [
    "[databases]",
    `* = host=127.0.0.1 port=${target.port} user=postgres`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${port}`,
    "unix_socket_dir =",
    "auth_type = any",
    `pool_mode = ${mode}`,
  ];
  writeFileSync(config, lines.join("\n"));
  chmodSync(dir, 0o755);
  return await startServer({
    name: "pgbouncer",
    port,
    dir,
    // It refuses to run as root, too, but knows how to stop being root.
    command: [file, ...(process.getuid?.() === 0 ? ["-u", "postgres"] : []), config],
    env,
    // Any answer will do.
    probe: () => ask(port, { send: hello(), expect: /^[RE]/ }),
    url: (reached) => `postgresql://postgres@127.0.0.1:${reached}/postgres`,
  });
}
