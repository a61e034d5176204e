import { readFile } from "node:fs/promises";
import { either } from "../core/abort.ts";
import type { Clock, Defaults } from "../driver.ts";
import {
  type Address,
  boolean,
  milliseconds,
  type Readers,
  readOptions,
  text,
  unknownOption,
} from "./url.ts";

/** A secret, or a function that gives it each time that a connection is made: for secrets that change. */
export type Secret = string | (() => string | Promise<string>);

/** How a connection is encrypted, as in `node:tls`. */
export interface TlsOptions {
  /** The certificates of who may have signed the server's, in PEM; default: those that the runtime trusts. */
  ca?: string | string[];
  /** The client's own certificate, in PEM, for a server that asks for one. */
  cert?: string;
  /** The private key of `cert`, in PEM. */
  key?: string;
  /** The name that must stand in the server's certificate; default: the host that is connected to. */
  servername?: string;
  /** Whether a server is refused whose certificate is not good; default true. */
  rejectUnauthorized?: boolean;
}

/** The options of every driver that connects to servers. */
export interface AccessOptions {
  /** The user to log in as; default: the URL's. */
  user?: string;
  /** The password to log in with, or a function that gives it for each connection; default: the URL's. */
  password?: Secret;
  /**
   * Encrypts, and how. In a URL: `tls=true`, and the files `ca`, `cert` and `key`, which are read again for each
   * connection, `servername` and `rejectUnauthorized=false`.
   */
  tls?: boolean | TlsOptions;
  /** The longest that one operation may take, in ms; default 10,000. It never takes more than a third of the ttl. */
  timeout?: number;
}

/** What only a URL's query has: `tls` in parts, with files instead of texts. */
interface TlsQuery {
  ca?: string;
  cert?: string;
  key?: string;
  servername?: string;
  rejectUnauthorized?: boolean;
}

const IN_QUERY: Readers<TlsQuery> = {
  ca: text,
  cert: text,
  key: text,
  servername: text,
  rejectUnauthorized: boolean,
};

const OF_TLS: Record<keyof TlsOptions, true> = {
  ca: true,
  cert: true,
  key: true,
  servername: true,
  rejectUnauthorized: true,
};

const OF_ACCESS: Readers<AccessOptions> = { user: text, password: text, tls: boolean, timeout: milliseconds };

/** Who connects, and how safely. */
export interface Access {
  readonly user: string | undefined;
  readonly password: Secret | undefined;
  /** Undefined: not encrypted. */
  readonly tls: Tls | undefined;
}

interface Tls {
  readonly given: TlsOptions;
  /** Paths of `ca`, `cert` and `key`, where they are not given as text. */
  readonly files: Readonly<Record<string, string>>;
}

/** An access as it is now, for one connection. */
export interface Credentials {
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly tls: TlsOptions | undefined;
}

/** What a driver's options say in all. */
export interface Read<O> {
  readonly options: Omit<O, keyof AccessOptions>;
  readonly access: Access;
  readonly defaults: Defaults;
}

/**
 * Like {@linkcode readOptions}, for drivers that connect to servers.
 * @param own One reader for each option that only this driver has.
 * @param isSecure Whether the URL's scheme demands encryption.
 */
export function readAccess<O extends AccessOptions>(
  driver: string,
  address: Address,
  given: O,
  { own, isSecure = false }: { own: Readers<Omit<O, keyof AccessOptions>>; isSecure?: boolean },
): Read<O> {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(IN_QUERY, name) || Object.hasOwn(own, name)) continue;
    throw new TypeError(`Cannot use option "${name}" of ${driver}: in code it stands in "tls"`);
  }
  const readers = { ...OF_ACCESS, ...IN_QUERY, ...own } as Readers<O & TlsQuery>; // Each has its reader.
  const { options, defaults } = readOptions<O & TlsQuery>(driver, address.query, given, readers);
  const { user = address.user, password = address.password, timeout } = options;
  if (timeout !== undefined) milliseconds(String(timeout), "timeout"); // In code it was read by nobody yet.
  return {
    options,
    access: { user, password, tls: readTls(driver, options, isSecure) },
    defaults: timeout === undefined ? defaults : { ...defaults, timeout },
  };
}

/**
 * Checks what is said beside a pool of the application, which connects as it was made to.
 * @param own The options that are the driver's all the same; `timeout` is always.
 * @throws {TypeError} where there are others.
 */
export function checkWithPool(driver: string, given: AccessOptions, own: readonly string[]): void {
  const odd = Object.entries(given).find(([name, value]) =>
    value !== undefined && !["timeout", ...own].includes(name)
  );
  if (!odd) return;
  throw new TypeError(
    `Cannot use option "${odd[0]}" of ${driver} with a pool: set it where the pool is made`,
  );
}

/** The query's words on TLS, by which of them. */
function inQuery(options: TlsQuery): TlsQuery {
  const words = (Object.keys(IN_QUERY) as (keyof TlsQuery)[]).map((name) => [name, options[name]]);
  return Object.fromEntries(words.filter(([, value]) => value !== undefined));
}

function readTls(driver: string, options: AccessOptions & TlsQuery, isSecure: boolean): Tls | undefined {
  const { tls } = options;
  const query = inQuery(options);
  const [word] = Object.keys(query);
  if (tls === false && (isSecure || word !== undefined)) {
    const why = isSecure ? "the URL's scheme demands TLS" : `"${word}" is there only with TLS`;
    throw new TypeError(`Cannot use option "tls" of ${driver}: it is false, but ${why}`);
  }
  if (!tls && !isSecure && word === undefined) return undefined;
  const code = typeof tls === "object" ? checkTls(driver, tls) : {};
  const { servername, rejectUnauthorized, ...named } = query;
  const isOfFile = ([name]: [string, string]) => code[name as keyof TlsOptions] === undefined;
  const files = Object.fromEntries(Object.entries(named).filter(isOfFile));
  const given = {
    ...servername === undefined ? {} : { servername },
    ...rejectUnauthorized === undefined ? {} : { rejectUnauthorized },
    ...code,
  };
  const parts = { ...files, ...given };
  if ((parts.cert === undefined) !== (parts.key === undefined)) {
    throw new TypeError(`Cannot use a client certificate for ${driver}: want both "cert" and "key"`);
  }
  return { given, files };
}

function checkTls(driver: string, tls: TlsOptions): TlsOptions {
  for (const name of Object.keys(tls)) {
    if (!Object.hasOwn(OF_TLS, name)) throw unknownOption(`"tls" of ${driver}`, name, Object.keys(OF_TLS));
  }
  return Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
}

/** How long the making of credentials may take, and what else ends it. */
export interface Patience {
  readonly clock: Clock;
  /** In ms. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/**
 * Asks for the password and reads the files, for one connection.
 * @throws {Error} that says, without secrets, what could not be had
 */
export async function credentials(access: Access, { clock, limit, signal }: Patience): Promise<Credentials> {
  const { user, password, tls } = access;
  const late = new AbortController();
  const cancel = clock.after(
    limit,
    () => late.abort(new Error(`no password within ${Math.round(limit)} ms`)),
  );
  try {
    const ready = Promise.all([reveal(password), tls && load(tls)]);
    const [secret, secured] = await either(ready, AbortSignal.any([signal, late.signal]));
    return { user, password: secret, tls: secured };
  } finally {
    cancel();
  }
}

async function reveal(password: Secret | undefined): Promise<string | undefined> {
  if (typeof password !== "function") return password;
  let secret: unknown;
  try {
    secret = await password();
  } catch (cause) {
    throw new Error('the function "password" failed', { cause });
  }
  if (typeof secret !== "string") throw new TypeError('the function "password" gave no string');
  return secret;
}

async function load({ given, files }: Tls): Promise<TlsOptions> {
  const texts = Object.entries(files).map(async ([name, path]): Promise<[string, string]> => {
    try {
      return [name, await readFile(path, "utf8")];
    } catch (cause) {
      throw new Error(`file ${JSON.stringify(path)} of "${name}" cannot be read`, { cause });
    }
  });
  return { ...Object.fromEntries(await Promise.all(texts)), ...given };
}
