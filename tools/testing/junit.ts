/** How one test ended, whatever runtime it ran on. */
export interface TestResult {
  /** The names of its suites and its own, joined by " > ". */
  readonly name: string;
  /** The file that it is from, as the runtime reports it; undefined where the report does not say. */
  file: string | undefined;
  status: "passed" | "failed" | "skipped";
  /** What a failed test said. */
  detail: string;
}

/** How the three print that what a test threw is a LateError of tests/late.ts. */
const LATE = /^(?:LateError: | *cause: (?:Error )?\[?LateError\]?: )/m;

/** Whether the test failed for no other reason than that something took too long. */
export function isLate({ status, detail }: TestResult): boolean {
  return status === "failed" && LATE.test(detail);
}

type Attributes = Readonly<Record<string, string>>;

const ENTITIES: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const TAG = /<(\/?)(testsuite|testcase|failure|error|skipped)\b((?:[^>"]|"[^"]*")*?)(\/?)>/g;

function unescape(text: string): string {
  return text.replaceAll(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(parseInt(hex, 16));
    if (decimal) return String.fromCodePoint(Number(decimal));
    return ENTITIES[name] ?? whole;
  });
}

function attributes(text: string): Attributes {
  const pairs = [...text.matchAll(/([\w:]+)="([^"]*)"/g)];
  return Object.fromEntries(pairs.map(([, key = "", value = ""]) => [key, unescape(value)]));
}

/** Walks the tags of a report; one that breaks off in the middle, because its writer was killed, is read so far. */
class Reader {
  readonly results: TestResult[] = [];
  readonly #suites: string[] = [];
  #current: TestResult | undefined;
  #detailStart = -1;

  open(tag: string, found: Attributes, isEmpty: boolean, end: number): void {
    if (tag === "testsuite") {
      if (!isEmpty) this.#suites.push(found.name ?? "");
    } else if (tag === "testcase") {
      this.#case(found);
    } else if (this.#current) {
      this.#current.status = tag === "skipped" ? "skipped" : "failed";
      this.#current.detail ||= found.message ?? "";
      if (tag !== "skipped" && !isEmpty) this.#detailStart = end;
    }
  }

  close(tag: string, xml: string, start: number): void {
    if (tag === "testsuite") this.#suites.pop();
    else if (tag !== "skipped" && tag !== "testcase" && this.#current && this.#detailStart >= 0) {
      this.#current.detail = unescape(xml.slice(this.#detailStart, start)).trim();
      this.#detailStart = -1;
    }
  }

  #case(found: Attributes): void {
    const path = [...this.#suites.filter((name) => !isFileName(name)), found.name ?? ""];
    const file = found.file ?? [found.classname, ...this.#suites].find((name) => name && isFileName(name));
    this.#current = { name: path.join(" > "), file, status: "passed", detail: "" };
    this.results.push(this.#current);
  }
}

/** Deno and Bun report a file as a suite. */
function isFileName(name: string): boolean {
  return /\.[cm]?[jt]sx?$/.test(name);
}

/**
 * Deno reports a suite as one more test beside its own. It counts only where it failed by itself, as it does when a
 * hook throws.
 */
function withoutSuites(results: readonly TestResult[]): TestResult[] {
  return results.filter((suite) => {
    const own = results.filter((test) => test.name.startsWith(`${suite.name} > `));
    // Deno names the file of a suite, and for its tests a module of its own.
    for (const test of own) if (suite.file !== undefined) test.file = suite.file;
    return own.length === 0 || (suite.status === "failed" && own.every((test) => test.status !== "failed"));
  });
}

/** The tests in a JUnit report of `deno test`, `bun test` or `node --test`, counted alike. */
export function readJunit(xml: string): TestResult[] {
  const reader = new Reader();
  for (const match of xml.matchAll(TAG)) {
    const [whole, slash, tag = "", rest = "", selfClosed] = match;
    if (slash) reader.close(tag, xml, match.index);
    else reader.open(tag, attributes(rest), selfClosed === "/", match.index + whole.length);
  }
  // Node reports a file that holds no test as a test that passed.
  return withoutSuites(reader.results).filter(({ name, status }) =>
    !(isFileName(name) && status === "passed")
  );
}
