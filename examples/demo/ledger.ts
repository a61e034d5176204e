import { type Attempt, type Result, type StoreEvent, SUMMARY } from "./messages.ts";

/** What has reached the store: everything that the verdict needs. */
export class Ledger {
  readonly files: readonly string[];
  /** Late writes with an old token, turned away. */
  readonly refused: Attempt[] = [];
  /** Work begun again, because its first holder died or lost the lock. */
  readonly takenOver: Attempt[] = [];
  summary: (Attempt & { readonly result: Result }) | undefined;
  #written = 0;
  readonly #writes = new Map<string, Attempt[]>();

  constructor(files: readonly string[]) {
    this.files = files;
  }

  /** How many files have a result. */
  get written(): number {
    return this.#written;
  }

  isRewritten(file: string): boolean {
    return (this.#writes.get(file)?.length ?? 0) > 1;
  }

  hear(event: StoreEvent): void {
    if (event.type === "refused") this.refused.push(event);
    else if (event.type === "taken over") this.takenOver.push(event);
    else if (event.type === "written") this.#keep(event);
  }

  /** What speaks against "every file's effective result was written once". */
  faults(): string[] {
    return [...this.files, SUMMARY].flatMap((file) => {
      const what = file === SUMMARY ? "the summary" : JSON.stringify(file);
      const [first, ...more] = this.#writes.get(file) ?? [];
      if (!first) return [`${what} was never written`];
      let before = first;
      return more.map((attempt) => {
        const text = `${what} was written by ${before.worker} with token ${before.token}, ` +
          `then overwritten by ${attempt.worker} with token ${attempt.token}`;
        before = attempt;
        return text;
      });
    });
  }

  #keep(event: StoreEvent & { type: "written" }): void {
    const writes = this.#writes.get(event.file) ?? [];
    this.#writes.set(event.file, [...writes, event]);
    if (event.file === SUMMARY) this.summary = event;
    else if (writes.length === 0) this.#written++;
  }
}
