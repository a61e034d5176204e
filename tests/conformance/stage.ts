import type { Characteristic } from "../../characteristics.ts";
import type { Coordinator, CoordinatorOptions } from "../../core/api/coordinator.ts";
import { ConnectionError } from "../../core/errors.ts";
import type { DriverFactory, Entry, Kind, Opener, Session } from "../../driver.ts";
import { getCoordinator } from "../../mod.ts";
import { currentRuntime, type Runtime, RUNTIMES } from "../processes/runtimes.ts";
import { startProxy } from "../servers/proxy.ts";
import type { Server } from "../servers/server.ts";
import type { IdleWorkers } from "./idle_workers.ts";
import { meansOf } from "./means.ts";
import { RemoteMember } from "./remote.ts";
import type {
  Fixture,
  Line,
  Means,
  Need,
  OpenSettings,
  Place,
  Proxied,
  Served,
  ServerSettings,
  Site,
  Stage,
  WorkerSettings,
} from "./suite.ts";
import { elapse, eventually, within } from "./waiting.ts";

/** Short, so that waiting for an expiry is bearable; longer than a busy machine's pauses. */
const TTL = 1_500;

/** For cases in which what a killed process leaves behind is to expire, beside processes that a busy machine slows down. */
const MORTAL_TTL = 4_000;

/** For cases in which nothing is to expire: no pause of the machine disturbs them. */
const CALM_TTL = 10_000;

/** For who is to be lost with a manual heartbeat: what it leaves behind stays as long. */
const MANUAL_TTL = 5_000;

/** So often a coordinator is opened that finds no server. */
const TRIES = 5;

/** Who needs one of these may wait for an expiry. */
const FAULTS: readonly Need[] = ["server", "proxy", "line", "expiry"];

/** A bystander is never renewed, so it must outlive the case. */
const BYSTANDER_TTL = 600_000;

/** Closing what a case opened never takes longer, in ms: no call hangs, whatever the case did to the server. */
const CLOSE_LIMIT = 20_000;

let stages = 0;

/** One case's stage on the place that all share. */
export class CaseStage implements Stage, AsyncDisposable {
  readonly driver: string;
  readonly characteristics: ReadonlySet<Characteristic>;
  readonly ttl: number;
  readonly lingers: number;
  readonly namespace: string;
  readonly url: string;
  readonly factory: DriverFactory;
  readonly #fixture: Fixture;
  readonly #place: Place;
  readonly #idle: IdleWorkers;
  readonly #means: ReadonlySet<Means>;
  readonly #ends: (() => unknown)[] = [];
  readonly #id = `${currentRuntime}${++stages}`;
  readonly #bystanders = new Map<string, Promise<Session>>();
  #names = 0;
  #workers = RUNTIMES.indexOf(currentRuntime);

  constructor(
    { fixture, place, idle }: { fixture: Fixture; place: Place; idle: IdleWorkers },
    needs: readonly Need[] = [],
  ) {
    this.driver = fixture.driver;
    this.factory = fixture.factory;
    this.characteristics = fixture.factory(place.url).characteristics;
    this.url = place.url;
    this.namespace = `conformance-${this.#id}-${crypto.randomUUID().slice(0, 8)}`;
    this.#fixture = fixture;
    this.#place = place;
    this.#idle = idle;
    this.#means = meansOf(fixture, this.characteristics);
    this.ttl = this.#ttlFor(needs);
    this.lingers = this.#asked(this.ttl);
  }

  #ttlFor(needs: readonly Need[]): number {
    if (needs.some((need) => FAULTS.includes(need))) return TTL;
    // What a process that is killed leaves behind need not expire everywhere.
    return needs.includes("processes") && this.has("expiry") ? MORTAL_TTL : CALM_TTL;
  }

  name(word = "name"): string {
    return `${word}-${this.#id}-${++this.#names}`;
  }

  has(need: Need): boolean {
    return this.characteristics.has(need as Characteristic) || this.#means.has(need as Means);
  }

  eventually<T>(fn: () => T | Promise<T>, ms?: number): Promise<T> {
    return eventually(fn, ms);
  }

  open(options: OpenSettings = {}): Promise<Coordinator> {
    return this.#openAt(this.url, options);
  }

  worker(runtime?: Runtime, options: WorkerSettings = {}): Promise<RemoteMember> {
    return this.#workerAt(this.url, runtime, options);
  }

  entries(name: string, kind: Kind = "lock"): Promise<Entry[]> {
    return this.#entriesAt(this.url, name, kind);
  }

  queued(name: string, count: number): Promise<void> {
    return this.#queuedAt(this.url, name, count);
  }

  defer(end: () => unknown): void {
    this.#ends.push(end);
  }

  async line(): Promise<Line> {
    const { partition } = this.#fixture;
    if (!partition) return await this.proxied();
    const members: string[] = [];
    const turn = (cut: boolean) => partition(this.url, members, cut);
    this.defer(() => turn(false));
    return {
      ...this.#site(this.url, { joined: (id) => members.push(id) }),
      sever: () => turn(true),
      interrupt: (fault = () => turn(true)) => fault(),
      heal: () => turn(false),
    };
  }

  async proxied(): Promise<Proxied> {
    if (!this.#place.server) throw new TypeError(`Cannot make a proxy: ${this.driver} has no server`);
    return await this.#proxied(this.#place.server);
  }

  async ownServer(settings: ServerSettings = {}): Promise<Served> {
    if (!this.#fixture.server) throw new TypeError(`Cannot start a server: ${this.driver} has none`);
    const server = await this.#fixture.server(settings);
    this.defer(() => server.stop());
    return { ...this.#site(server.url), server, proxied: () => this.#proxied(server) };
  }

  /** Closes all that was opened, the last first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await within(this.#close(), "all that the case opened is closed", CLOSE_LIMIT);
  }

  async #close(): Promise<void> {
    const errors: unknown[] = [];
    for (let end = this.#ends.pop(); end; end = this.#ends.pop()) {
      try {
        await end();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  async #proxied(server: Server): Promise<Proxied> {
    const proxy = await startProxy(server.port);
    this.defer(async () => {
      // A socket in the middle of its shutdown cannot be reset, and would stay open for ever on Node.
      await elapse(50);
      proxy.forward();
      await eventually(() => proxy.open === 0, 2_000).catch(() => {});
      await proxy.stop();
    });
    return {
      ...this.#site(server.urlAt(proxy.port), { direct: server.url }),
      proxy,
      sever: () => proxy.blackHole(),
      interrupt: (fault = () => proxy.blackHole()) => this.has("bound") ? proxy.hold() : fault(),
      heal: () => proxy.forward(),
    };
  }

  #site(url: string, how: { direct?: string; joined?: (memberId: string) => void } = {}): Site {
    const { direct = url, joined } = how;
    return {
      url,
      open: (options = {}) => this.#openAt(url, options, joined),
      worker: (runtime, options = {}) => this.#workerAt(url, runtime, options),
      entries: (name, kind = "lock") => this.#entriesAt(direct, name, kind),
      queued: (name, count) => this.#queuedAt(direct, name, count),
    };
  }

  async #openAt(
    url: string,
    settings: OpenSettings,
    joined: (id: string) => void = () => {},
  ): Promise<Coordinator> {
    const { wrap, ...options } = settings;
    const complete = this.#complete(options);
    joined(complete.memberId);
    const opener = this.#opener(url);
    const coordinator = await this.#connect(() => getCoordinator(wrap ? wrap(opener) : opener, complete));
    this.defer(() => coordinator.close());
    return coordinator;
  }

  /** With a short ttl there are 500 ms for it, which a server on a busy machine may not keep to. */
  async #connect(open: () => Promise<Coordinator>): Promise<Coordinator> {
    for (let tries = 1;; tries++) {
      try {
        return await open();
      } catch (error) {
        if (tries === TRIES || !(error instanceof ConnectionError)) throw error;
        console.log(`OPENED once more: ${error.message}`);
      }
    }
  }

  async #workerAt(url: string, runtime: Runtime | undefined, options: WorkerSettings): Promise<RemoteMember> {
    // The runtime that runs the test comes last: what two of them do together is worth more.
    const next = runtime ?? RUNTIMES[++this.#workers % RUNTIMES.length] ?? currentRuntime;
    const process = await this.#idle.take(next);
    this.defer(async () => {
      try {
        process.kill("SIGCONT");
      } catch {
        // It was killed by the case.
      }
      await this.#idle.keep({ runtime: next, process });
    });
    return await RemoteMember.open({ runtime: next, process }, url, this.#complete(options));
  }

  async #entriesAt(url: string, name: string, kind: Kind): Promise<Entry[]> {
    let bystander = this.#bystanders.get(url);
    if (!bystander) {
      bystander = this.#bystander(url);
      this.#bystanders.set(url, bystander);
    }
    return await (await bystander).locks.entries({ kind, name });
  }

  async #queuedAt(url: string, name: string, count: number): Promise<void> {
    await this.eventually(async () => {
      const entries = await this.#entriesAt(url, name, "lock");
      const waiting = entries.filter(({ token }) => token === undefined).length;
      if (waiting !== count) throw new Error(`${waiting} wait for "${name}", not ${count}`);
      return true;
    });
  }

  async #bystander(url: string): Promise<Session> {
    const session = await this.#opener(url).open({
      memberId: this.name("bystander"),
      incarnation: crypto.randomUUID(),
      namespace: this.namespace,
      ttl: BYSTANDER_TTL,
      timeout: 10_000,
      signal: new AbortController().signal,
      longest: 10_000,
      note: () => {},
    });
    this.defer(() => session.close());
    return session;
  }

  #opener(url: string): Opener {
    // Factories return openers; `Backend` hides that from users only.
    return this.factory(url) as Opener;
  }

  #complete(options: CoordinatorOptions): CoordinatorOptions & { memberId: string } {
    // Who sends no heartbeat is lost as soon as with a short ttl, but has more time for an operation.
    const calm = options.heartbeat === "manual" ? { ttl: MANUAL_TTL, margin: MANUAL_TTL - TTL } : {};
    const { ttl = this.ttl, ...rest } = options.ttl === undefined ? { ...calm, ...options } : options;
    const memberId = options.memberId ?? this.name("member");
    return { namespace: this.namespace, ...rest, ttl: this.#asked(ttl), memberId };
  }

  /** What to ask for, in ms, to be granted that. */
  #asked(ttl: number): number {
    return ttl / (this.#fixture.grants ?? 1);
  }
}
