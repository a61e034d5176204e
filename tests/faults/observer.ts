import type { DriverFactory, Opener, Session } from "../../driver.ts";

/** A session that sees what no user does: who waits for a lock. */
export class Observer implements AsyncDisposable {
  readonly session: Session;

  private constructor(session: Session) {
    this.session = session;
  }

  static async open(factory: DriverFactory, url: string, namespace: string): Promise<Observer> {
    const opener = factory(url) as Opener; // What the factory makes is an opener to those who know.
    const session = await opener.open({
      memberId: "observer",
      incarnation: crypto.randomUUID(),
      namespace,
      ttl: 600_000,
      timeout: 10_000,
      signal: new AbortController().signal,
      longest: 10_000,
      note: () => {},
    });
    return new Observer(session);
  }

  /** How many wait. */
  async waiting(name: string): Promise<number> {
    const entries = await this.session.locks.entries({ kind: "lock", name });
    return entries.filter(({ token }) => token === undefined).length;
  }

  /** Takes the lock if it is free; resolves with how to give it back. */
  async take(name: string): Promise<() => Promise<boolean>> {
    const grant = await this.session.locks.acquire({
      kind: "lock",
      name,
      id: crypto.randomUUID(),
      mode: "exclusive",
      wait: false,
      value: "",
      signal: new AbortController().signal,
    });
    if (!grant) throw new Error("Cannot take the lock: it is busy");
    return () => grant.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.session.close();
  }
}
