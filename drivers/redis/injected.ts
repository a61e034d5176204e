import type { RedisOptions } from "../redis.ts";

/** A client that exists already, as ioredis makes it. Its settings are used, for connections of our own. */
export interface RedisClient {
  /** Where it connects to, and as whom. */
  readonly options: object;
  /** Whether it is one of a cluster, which cannot be used. */
  readonly isCluster: boolean;
}

/** The settings of a client that are known here; what it has besides changes nothing about what is stored where. */
interface Settings {
  readonly host?: string;
  readonly port?: number | string;
  readonly path?: string | null;
  readonly username?: string | null;
  readonly password?: string | null;
  readonly db?: number;
  readonly tls?: boolean | Readonly<Record<string, unknown>>;
  readonly keyPrefix?: string;
  readonly role?: string;
  readonly Connector?: unknown;
  readonly sentinels?: readonly { readonly host?: string; readonly port?: number | string }[] | null;
  readonly name?: string | null;
  readonly sentinelUsername?: string | null;
  readonly sentinelPassword?: string | null;
  readonly sentinelTLS?: unknown;
  readonly natMap?: unknown;
}

/**
 * Where an existing client connects to, as a URL and options.
 * @throws {TypeError} if we could not do the same
 */
export function settingsOf({ options, isCluster }: RedisClient): { url: string; options: RedisOptions } {
  if (isCluster) throw unfit('it is one of a cluster: want a URL with "cluster=true"');
  const settings: Settings = options;
  refuse(settings);
  const { host = "127.0.0.1", port = 6379, sentinels, tls } = settings;
  const servers = sentinels?.length
    ? sentinels.map((each) => authority(each.host ?? "127.0.0.1", each.port ?? 26379))
    : [authority(host, port)];
  return {
    url: `redis://${servers}`,
    options: defined({
      user: settings.username,
      password: settings.password,
      db: settings.db,
      // What stands in it is checked like all that is given in code.
      tls: typeof tls === "object" && Object.keys(tls).length === 0 ? true : tls,
      ...sentinels?.length ? sentinel(settings) : {},
    }),
  };
}

function sentinel({ name, sentinelUsername, sentinelPassword, natMap }: Settings): object {
  return { sentinel: name, sentinelUser: sentinelUsername, sentinelPassword, nat: readNatMap(natMap) };
}

/** What would put its keys, or ours, somewhere else than it looks. */
function refuse(settings: Settings): void {
  if (settings.path) throw unfit("it connects to a Unix socket: want a host and a port");
  if (settings.keyPrefix) throw unfit('it has a "keyPrefix": want the option "namespace" instead');
  if (settings.role === "slave") throw unfit("it connects to a replica, which can only be read");
  if (settings.Connector) throw unfit('it has a "Connector" of its own');
  if (settings.sentinels?.length && settings.sentinelTLS) throw unfit('it has "sentinelTLS" of its own');
  if (typeof settings.natMap === "function") throw unfit('its "natMap" is a function: want an object');
}

function authority(host: string, port: number | string): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function readNatMap(natMap: unknown): Record<string, string> | undefined {
  if (typeof natMap !== "object" || natMap === null) return undefined;
  return Object.fromEntries(Object.entries(natMap).map(([from, to]) => [from, authority(to.host, to.port)]));
}

function defined(options: object): RedisOptions {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined && value !== null),
  );
}

function unfit(why: string): TypeError {
  return new TypeError(`Cannot use client: ${why}`);
}
