import { Child, type Runtime, runtimes } from "./child.ts";
import type { Attempt, WorkerEvent, WorkerSettings } from "./messages.ts";

/** How a worker is: `stopped` in the middle of a write, `killed` by the demo, `done` of its own will. */
export type Condition = "works" | "stopped" | "killed" | "done" | "failed";

/** A worker as the demo sees it. */
export class CrewMember {
  readonly id: string;
  readonly runtime: string;
  condition: Condition = "works";
  /** The file that it works on, with the token of its lock. */
  holds: Omit<Attempt, "worker"> | undefined;
  /** How many results of its were kept. */
  written = 0;
  readonly #child: Child<WorkerEvent>;

  constructor(runtime: Runtime, settings: WorkerSettings, hear: (event: WorkerEvent) => void) {
    this.id = settings.id;
    this.runtime = runtime.name;
    this.#child = new Child(runtime, "./worker.ts", settings, hear);
  }

  get ended(): Promise<number | string> {
    return this.#child.ended;
  }

  kill(): void {
    this.condition = "killed";
    this.#child.signal("SIGKILL");
  }

  stallAtNextWrite(): void {
    this.#child.order("stall");
  }

  resume(): void {
    this.condition = "works";
    this.#child.signal("SIGCONT");
  }
}

/** The workers, dead and alive. */
export class Crew {
  readonly members: CrewMember[] = [];
  readonly #runtimes = runtimes();
  readonly #hear: (member: CrewMember, event: WorkerEvent) => void;
  readonly #changed: () => void;
  #settings: Omit<WorkerSettings, "id"> | undefined;

  constructor(hear: (member: CrewMember, event: WorkerEvent) => void, changed: () => void) {
    this.#hear = hear;
    this.#changed = changed;
  }

  /** Those that have not ended. */
  get alive(): CrewMember[] {
    return this.members.filter(({ condition }) => condition === "works" || condition === "stopped");
  }

  find(id: string): CrewMember | undefined {
    return this.members.find((member) => member.id === id);
  }

  start(settings: Omit<WorkerSettings, "id">, workers: number): void {
    this.#settings = settings;
    for (let i = 0; i < workers; i++) this.add();
  }

  /** Starts one more worker, on the next runtime in turn. */
  add(): void {
    const number = this.members.length;
    const runtime = this.#runtimes[number % this.#runtimes.length];
    if (!runtime || !this.#settings) return;
    const settings = { ...this.#settings, id: `worker-${number + 1}` };
    const member: CrewMember = new CrewMember(runtime, settings, (event) => this.#hear(member, event));
    this.members.push(member);
    void member.ended.then((how) => this.#end(member, how));
  }

  #end(member: CrewMember, how: number | string): void {
    member.holds = undefined;
    if (member.condition !== "killed") member.condition = how === 0 ? "done" : "failed";
    this.#changed();
  }
}
