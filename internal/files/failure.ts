import { CapacityError, ConnectionError, CoordError } from "../../core/errors.ts";

/** The error code of a failed file operation, alike on every runtime. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as Error & { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** Runs a step that answers undefined where a file or directory is missing. */
export function ifThere<T>(step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Codes that say that there is no room. */
const NO_ROOM: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EFBIG"]);

/** The failures of file operations in the words of one driver. */
export class Failures {
  readonly driver: string;
  readonly #reasons: Readonly<Record<string, string>>;
  readonly #permissions: string;

  /** `reasons` says what each error code means and what helps; `permissions` are the flags that Deno needs. */
  constructor(driver: string, options: { reasons: Readonly<Record<string, string>>; permissions: string }) {
    this.driver = driver;
    this.#reasons = options.reasons;
    this.#permissions = options.permissions;
  }

  /** Turns a failed file operation into our error, with the reason and what helps. */
  explain(action: string, cause: unknown): CoordError {
    if (cause instanceof CoordError) return cause;
    const reason = this.#reasonOf(cause);
    if (!NO_ROOM.has(codeOf(cause) ?? "")) return this.refuse(action, reason, cause);
    return new CapacityError(`Cannot ${action}: ${reason}`, { driver: this.driver, cause });
  }

  /** The error for something that cannot be done. */
  refuse(action: string, reason: string, cause?: unknown): ConnectionError {
    return new ConnectionError(`Cannot ${action}: ${reason}`, { driver: this.driver, cause });
  }

  /** Runs a step; what fails in it is turned into our error. */
  attempt<T>(action: string, step: () => T): T {
    try {
      return step();
    } catch (cause) {
      throw this.explain(action, cause);
    }
  }

  #reasonOf(cause: unknown): string {
    const reason = this.#reasons[codeOf(cause) ?? ""];
    if (reason !== undefined) return reason;
    if (!(cause instanceof Error)) return String(cause);
    if (cause.name === "NotCapable") {
      return `Deno does not permit it (${cause.message}); all that is needed: ${this.#permissions}`;
    }
    return cause.message.replace(/^Cannot [^:]+: /, "");
  }
}
