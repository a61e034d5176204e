import { requireBinary } from "./binaries.ts";
import { freePort } from "./ports.ts";
import { ask } from "./probe.ts";
import { type Server, serverDir, startServer } from "./server.ts";

export interface RedisServerOptions {
  /** Keep every write over a kill -9. Default false: then a restarted server is empty. */
  persistent?: boolean;
  password?: string;
  args?: readonly string[];
}

/** Starts a Redis of its own; `await using` ends it. */
export async function startRedis(options: RedisServerOptions = {}): Promise<Server> {
  const { persistent = false, password, args = [] } = options;
  const { file, env } = requireBinary("redis-server");
  const [port, dir] = [await freePort(), serverDir("redis")];
  const command = [file, "--port", `${port}`, "--bind", "127.0.0.1", "--dir", dir, "--save", ""];
  // Only "always" keeps an answered write: the other policies lose up to a second.
  if (persistent) command.push("--appendonly", "yes", "--appendfsync", "always");
  if (password !== undefined) command.push("--requirepass", password);
  command.push(...args);
  const login = password === undefined ? "" : `AUTH ${password}\r\n`;
  const user = password === undefined ? "" : `:${encodeURIComponent(password)}@`;
  return await startServer({
    name: "redis",
    port,
    dir,
    command,
    env,
    probe: () => ask(port, { send: `${login}PING\r\n`, expect: /\+PONG/ }),
    url: (reached) => `redis://${user}127.0.0.1:${reached}`,
  });
}
