import type { CoordinatorOptions } from "../../core/api/coordinator.ts";
import type { Leader } from "../../core/api/election.ts";
import type { Holder } from "../../core/api/lock.ts";
import type { Mode } from "../../driver.ts";
import type { Runtime } from "../processes/runtimes.ts";
import type { Worker } from "../processes/spawn.ts";
import type { WireError } from "../processes/wire.ts";

/** What the process of a member runs. */
export const WORKER = new URL("./worker.ts", import.meta.url);

/** A lease, or a leadership, in another process. */
export interface LeaseFacts {
  readonly id: number;
  readonly token: bigint;
  /** When it was granted, by the machine's wall clock, in ms since 1970. */
  readonly at: number;
}

/** What a signal fired with, and when. */
export interface LossFacts extends WireError {
  readonly at: number;
}

/** A contender's task: so many times acquire, hold for a while, release. */
export interface Contest {
  readonly rounds: number;
  /** Ms. */
  readonly hold?: number;
  readonly mode?: Mode;
}

/** One hold of a contender: from after the grant to before the release, in ms since 1970. */
export interface Turn {
  readonly member: string;
  readonly token: bigint;
  readonly from: number;
  readonly to: number;
}

/** A coordinator in a process of its own. */
export class RemoteMember {
  readonly memberId: string;
  readonly runtime: Runtime;
  readonly process: Worker;

  private constructor(memberId: string, runtime: Runtime, process: Worker) {
    this.memberId = memberId;
    this.runtime = runtime;
    this.process = process;
  }

  /** Opens a coordinator in a process that runs {@linkcode WORKER} and has none. */
  static async open(
    { runtime, process }: { readonly runtime: Runtime; readonly process: Worker },
    url: string,
    options: CoordinatorOptions & { memberId: string },
  ): Promise<RemoteMember> {
    await process.call("open", url, options);
    return new RemoteMember(options.memberId, runtime, process);
  }

  acquire(name: string, options: { mode?: Mode; timeout?: number } = {}): Promise<RemoteLease> {
    return this.#lease(this.call<LeaseFacts>("acquire", name, options));
  }

  async tryAcquire(name: string, options: { mode?: Mode } = {}): Promise<RemoteLease | undefined> {
    const facts = await this.call<LeaseFacts | null>("tryAcquire", name, options);
    return facts ? new RemoteLease(this, facts) : undefined;
  }

  campaign(election: string, options: { value?: string; timeout?: number } = {}): Promise<RemoteLease> {
    return this.#lease(this.call<LeaseFacts>("campaign", election, options));
  }

  leader(election: string): Promise<Leader | null> {
    return this.call("leader", election);
  }

  async join(
    group: string,
    capabilities: unknown = {},
    options: { create?: boolean; replace?: boolean } = {},
  ): Promise<RemoteMembership> {
    return new RemoteMembership(this, await this.call<number>("join", group, capabilities, options));
  }

  members(group: string): Promise<string[]> {
    return this.call("members", group);
  }

  holders(name: string): Promise<Omit<Holder, "since">[]> {
    return this.call("holders", name);
  }

  break(name: string): Promise<boolean> {
    return this.call("break", name);
  }

  contend(name: string, contest: Contest): Promise<Turn[]> {
    return this.call("contend", name, contest);
  }

  /** Acquires, holds for so many ms, and releases, while servers come and go, until it is told to {@linkcode relent}. */
  struggle(name: string, hold: number): Promise<Turn[]> {
    return this.call("struggle", name, hold);
  }

  relent(): Promise<void> {
    return this.call("relent");
  }

  /** Blocks its event loop. */
  stall(ms: number): Promise<void> {
    return this.call("stall", ms);
  }

  state(): Promise<string> {
    return this.call("state");
  }

  close(options: { grace?: number } = {}): Promise<void> {
    return this.call("close", options.grace ?? 0);
  }

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.exited;
  }

  pause(): void {
    this.process.kill("SIGSTOP");
  }

  resume(): void {
    this.process.kill("SIGCONT");
  }

  /** Runs a method of worker.ts. */
  call<T>(method: string, ...args: unknown[]): Promise<T> {
    // Both ends are ours.
    return this.process.call(method, ...args) as Promise<T>;
  }

  async #lease(facts: Promise<LeaseFacts>): Promise<RemoteLease> {
    return new RemoteLease(this, await facts);
  }
}

/** A lease, or a leadership, of a remote member. */
export class RemoteLease {
  readonly token: bigint;
  /** When it was granted, in ms since 1970. */
  readonly at: number;
  readonly id: number;
  readonly #member: RemoteMember;

  constructor(member: RemoteMember, facts: LeaseFacts) {
    this.#member = member;
    this.id = facts.id;
    this.token = facts.token;
    this.at = facts.at;
  }

  release(): Promise<boolean> {
    return this.#member.call("release", this.id);
  }

  isHeld(): Promise<boolean> {
    return this.#member.call("isHeld", this.id);
  }

  async remaining(): Promise<number> {
    return Number(await this.#member.call<number | string>("remaining", this.id));
  }

  /** Reads its signal now. */
  isLost(): Promise<boolean> {
    return this.#member.call("isLost", this.id);
  }

  /** Resolves when its signal has fired. */
  lost(): Promise<LossFacts> {
    return this.#member.call("lost", this.id);
  }

  /** Blocks the event loop and reads the signal before anything else runs. */
  stallAndRead(ms: number): Promise<boolean> {
    return this.#member.call("stallAndRead", this.id, ms);
  }

  proclaim(value: string): Promise<void> {
    return this.#member.call("proclaim", this.id, value);
  }
}

/** A membership of a remote member. */
export class RemoteMembership {
  readonly #member: RemoteMember;
  readonly #id: number;

  constructor(member: RemoteMember, id: number) {
    this.#member = member;
    this.#id = id;
  }

  leave(): Promise<boolean> {
    return this.#member.call("leave", this.#id);
  }

  update(capabilities: unknown): Promise<void> {
    return this.#member.call("update", this.#id, capabilities);
  }

  /** Resolves when its signal has fired. */
  lost(): Promise<LossFacts> {
    return this.#member.call("evicted", this.#id);
  }
}
