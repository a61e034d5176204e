import type { Defaults } from "../driver.ts";

/** One server of a URL. */
export interface Host {
  readonly host: string;
  readonly port: number | undefined;
}

/** A backend's URL in parts, decoded. Several hosts make no valid WHATWG URL, so strings are parsed here. */
export interface Address {
  readonly scheme: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly hosts: readonly Host[];
  /** With its leading slash, if there is one. */
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
}

/** Reads one option from text; throws a `TypeError` or `RangeError` that says what is wanted. */
export type Reader<T> = (text: string, name: string) => T;

/** One reader for each option that a driver knows. */
export type Readers<O> = { readonly [K in keyof O]-?: Reader<NonNullable<O[K]>> };

const PARTS = /^([a-z][a-z0-9+.-]*):(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?$/i;
const HOST = /^(\[[0-9a-f:.%]+\]|[^:[\]]*)(?::(\d{1,5}))?$/i;

/** The scheme of a URL in lower case. */
export function schemeOf(url: string | URL): string {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(String(url))?.[1];
  if (scheme === undefined) {
    throw new TypeError(`Cannot read URL ${redact(url)}: it has no scheme such as "redis:"`);
  }
  return scheme.toLowerCase();
}

/** Splits a backend's URL. */
export function parseAddress(url: string | URL): Address {
  const parts = PARTS.exec(String(url));
  if (!parts) {
    const why = String(url).includes("#") ? 'it has a "#", which is written as "%23"; ' : "";
    throw new TypeError(
      `Cannot read URL ${redact(url)}: ${why}want scheme://user:password@host:port/path?option=value`,
    );
  }
  const [, scheme = "", authority = "", path = "", query = ""] = parts;
  const at = authority.lastIndexOf("@");
  const [user, password] = at < 0 ? [] : split(authority.slice(0, at), ":");
  // A password whose "/" is not encoded, or that stands behind no "//", would be taken for a path.
  if (authority === "" ? /^[^/]*:.*@/s.test(path) : path.includes("@")) {
    throw new TypeError(
      `Cannot read URL ${redact(url)}: an "@" belongs before the hosts; in a path it is "%40", and in a ` +
        'password "/" is "%2F"',
    );
  }
  return {
    scheme: scheme.toLowerCase(),
    user: user ? decode(user, url) : undefined,
    password: password === undefined ? undefined : decode(password, url),
    hosts: authority.slice(at + 1).split(",").filter((host) => host !== "").map((host) =>
      parseHost(host, url)
    ),
    path: decode(path, url),
    query: parseQuery(query, url),
  };
}

function parseQuery(text: string, url: string | URL): Map<string, string> {
  const pairs = text.split("&").filter((pair) => pair !== "").map((pair): [string, string] => {
    const [name, value = ""] = split(pair.replaceAll("+", " "), "=");
    return [decode(name, url), decode(value, url)];
  });
  const query = new Map(pairs);
  // Which one is not said: it may be the rest of a password.
  if (query.size < pairs.length) {
    throw new TypeError(`Cannot read URL ${redact(url)}: an option stands twice in its query`);
  }
  return query;
}

function parseHost(text: string, url: string | URL): Host {
  const [, host = "", port] = HOST.exec(text) ?? [];
  if (host === "" || Number(port ?? 1) > 65535 || Number(port ?? 1) < 1) {
    throw new TypeError(`Cannot read URL ${redact(url)}: a host of it is not host:port`);
  }
  return { host: host.replace(/^\[|\]$/g, ""), port: port === undefined ? undefined : Number(port) };
}

function split(text: string, by: string): [string, string?] {
  const at = text.indexOf(by);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string, url: string | URL): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new TypeError(
      `Cannot read URL ${redact(url)}: a "%" in it is not followed by two hexadecimal digits`,
      { cause },
    );
  }
}

const START = /^[a-z][a-z0-9+.-]*:(\/\/)?/i;

/**
 * A URL for messages: quoted, without credentials and without the query, where secrets may stand too. Of one that may
 * have a secret somewhere else, such as a password that is not encoded, only the scheme is left.
 */
export function redact(url: string | URL): string {
  const [start = ""] = START.exec(String(url)) ?? [];
  const [, text = "", query = ""] = /^([^?#]*)(.*)$/s.exec(String(url).slice(start.length)) ?? [];
  const at = text.lastIndexOf("@");
  const isClear = at >= 0 || (text.split("/")[0] ?? "").split(",").every((host) => HOST.test(host));
  if (!isClear || query.includes("@")) return JSON.stringify(`${start}***`);
  return JSON.stringify(start + (at < 0 ? text : `***@${text.slice(at + 1)}`));
}

const DEFAULTS: Readers<Defaults> = {
  memberId: text,
  namespace: text,
  ttl: milliseconds,
  margin: milliseconds,
  heartbeat: oneOf("auto", "manual"),
  timeout: milliseconds,
};

/** Any text. */
export function text(value: string): string {
  return value;
}

/** A finite number of milliseconds, from 0. */
export function milliseconds(value: string, name: string): number {
  const number = Number(value);
  if (value === "" || !Number.isFinite(number) || number < 0) {
    throw new RangeError(`Cannot use option "${name}": want milliseconds from 0, got "${value}"`);
  }
  return number;
}

/** `host:port`, as URLs have it. */
export function authorityOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** The servers that a URL names; without a port it is this one, without a host this machine. */
export function serversOf({ hosts }: Address, defaultPort: number): { host: string; port: number }[] {
  const named = hosts.length > 0 ? hosts : [{ host: "", port: undefined }];
  return named.map(({ host, port = defaultPort }) => ({ host: host || "127.0.0.1", port }));
}

/** The error for a URL that a driver cannot use; `shown` is the URL without its credentials. */
export function unusable(shown: string, why: string): TypeError {
  return new TypeError(`Cannot use URL ${shown}: ${why}`);
}

/** Refuses an existing client, or whatever else is no URL, where a driver makes all its connections itself. */
export function refuseClient(given: unknown, driver: string, why: string): void {
  if (typeof given !== "object" || given === null || given instanceof URL) return;
  throw new TypeError(
    `Cannot use an existing client of ${driver}: ${why}; want a URL, and what it does not say in the options`,
  );
}

/** `true` or `false`. */
export function boolean(value: string, name: string): boolean {
  if (value !== "true" && value !== "false") {
    throw new TypeError(`Cannot use option "${name}": want true or false, got "${value}"`);
  }
  return value === "true";
}

/** One of the given words. */
export function oneOf<W extends string>(...words: W[]): Reader<W> {
  return (value, name) => {
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) {
      throw new TypeError(`Cannot use option "${name}": want ${words.join(" or ")}, got "${value}"`);
    }
    return word;
  };
}

/**
 * Reads a driver's options from a URL's query and from code, where code wins, and the coordinator's defaults from the
 * query. An unknown option is a `TypeError` that names the nearest known one.
 */
export function readOptions<O extends object>(
  driver: string,
  query: ReadonlyMap<string, string>,
  given: O,
  readers: Readers<O>,
): { options: O; defaults: Defaults } {
  const known = new Map<string, Reader<unknown>>(Object.entries(readers));
  const common = new Map<string, Reader<unknown>>(Object.entries(DEFAULTS));
  for (const name of Object.keys(given)) {
    if (!known.has(name)) throw unknownOption(driver, name, known.keys());
  }
  const options: Record<string, unknown> = {};
  const defaults: Record<string, unknown> = {};
  let isOpen = true;
  for (const [name, value] of query) {
    const reader = known.get(name) ?? common.get(name);
    if (!reader) {
      const names = [...known.keys(), ...common.keys()];
      throw isOpen && !name.includes("@") ? unknownOption(driver, name, names) : brokenPassword(driver);
    }
    isOpen &&= !/password/i.test(name);
    (known.has(name) ? options : defaults)[name] = reader(value, name);
  }
  for (const [name, value] of Object.entries(given)) if (value !== undefined) options[name] = value;
  // The readers are keyed by O's own keys, which the compiler cannot follow through the map.
  return { options: options as O, defaults: defaults as Defaults };
}

/** The error for an option that nobody knows. */
export function unknownOption(owner: string, name: string, known: Iterable<string>): TypeError {
  const nearest = [...known].map((word) => ({ word, d: distance(name.toLowerCase(), word.toLowerCase()) }))
    .sort((a, b) => a.d - b.d)[0];
  const hint = nearest ? `; did you mean "${nearest.word}"?` : "; it takes none";
  return new TypeError(`Cannot use option "${name}" of ${owner}: there is none of that name${hint}`);
}

/** The error for what may be the rest of a password in a URL's query: what it is stays hidden. */
function brokenPassword(owner: string): TypeError {
  return new TypeError(
    `Cannot use an option of ${owner}: in the URL's query there is one that is not known, or the rest of a password, ` +
      'in which "&" is "%26" and "?" is "%3F"',
  );
}

/** Edit distance of two short words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
