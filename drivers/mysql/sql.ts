import { createHash } from "node:crypto";

/** What can stand in a statement. */
export type Value = string | number | bigint | null | readonly (string | number | bigint)[];

const SPECIAL = /['"\\\p{Cc}]/gu;
/** The other control characters stand for themselves. */
const ESCAPES: Readonly<Record<string, string>> = {
  "\0": "\\0",
  "\n": "\\n",
  "\r": "\\r",
  "\x1a": "\\Z",
  "'": "\\'",
  '"': '\\"',
  "\\": "\\\\",
};

/** Part of a statement that stands as it is. */
export class Raw {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Writes a statement; what stands in `${}` is a value, a list of values, or part of a statement. */
export function sql(parts: TemplateStringsArray, ...values: readonly (Value | Raw)[]): Raw {
  return new Raw(String.raw({ raw: parts }, ...values.map(write)));
}

/** A statement that the server is to keep prepared: its text stays the same, its values do not. */
export class Bound {
  readonly text: string;
  readonly values: readonly string[];

  constructor(text: string, values: readonly string[]) {
    this.text = text;
    this.values = values;
  }

  /** The same with its values written into it. */
  get plain(): Raw {
    const values = this.values.values();
    return new Raw(this.text.replaceAll("?", () => write(values.next().value ?? null)));
  }
}

/** Writes a statement to be prepared; what stands in `${}` is a value, or part of a statement. */
export function bind(
  parts: TemplateStringsArray,
  ...values: readonly (string | bigint | Raw | Bound)[]
): Bound {
  const own = values.map((value) => {
    if (value instanceof Bound) return value;
    return value instanceof Raw ? new Bound(value.text, []) : new Bound("?", [String(value)]);
  });
  const text = String.raw({ raw: parts }, ...own.map((one) => one.text));
  return new Bound(text, own.flatMap((one) => one.values));
}

/** Several statements of one request. */
export function all(...statements: readonly Raw[]): Raw {
  return new Raw(statements.map(({ text }) => text).join(";\n"));
}

function write(value: Value | Raw): string {
  if (value instanceof Raw) return value.text;
  if (value === null) return "null";
  // The session's sql_mode is ours, so that a backslash escapes.
  if (typeof value === "string") return `'${value.replaceAll(SPECIAL, (char) => ESCAPES[char] ?? char)}'`;
  return typeof value === "object" ? value.map(write).join(", ") : String(value);
}

/** A name of fixed length for texts of any, without collisions; what is joined cannot be told apart otherwise. */
export function digest(...words: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(words)).digest("hex").slice(0, 40);
}

/** The database's time in ms since 1970; the session's time zone is UTC. */
export const NOW: Raw = sql`floor(unix_timestamp(now(3)) * 1000)`;
