import { type Coordinator, getCoordinator } from "../../mod.ts";
import { Crew, type CrewMember } from "./crew.ts";
import { Faults } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import { type Attempt, type StoreEvent, SUMMARY, type WorkerEvent } from "./messages.ts";
import { startStore } from "./store_process.ts";
import type { View } from "./view.ts";

/** What to show. */
export interface DemoOptions {
  readonly folder: string;
  readonly files: readonly string[];
  readonly workers: number;
  readonly backend: string;
  /** About how long the work takes, in seconds. */
  readonly seconds: number;
  readonly fencing: boolean;
  /** Where every attempt to write is kept. */
  readonly journal: string;
}

/** What a run has come to. */
export interface Outcome {
  readonly ledger: Ledger;
  readonly workers: readonly CrewMember[];
  readonly kills: number;
  /** Whether every fault of the plan has happened. */
  readonly isComplete: boolean;
}

/** No file takes longer than this, in ms, however few there are. */
const LONGEST_PAUSE = 1_000;

/** Runs the demo. */
export async function runDemo(options: DemoOptions, view: View): Promise<Outcome> {
  // A namespace of its own: what other runs have left on a server does not matter.
  const namespace = `demo-${crypto.randomUUID().slice(0, 8)}`;
  await using coord = await getCoordinator(options.backend, {
    memberId: "director",
    namespace,
    characteristics: ["DISTRIBUTED_ACROSS_PROCESSES"],
  });
  const director = new Director(options, coord, view);
  const settings = { files: options.files, fencing: options.fencing, journal: options.journal };
  using store = await startStore(settings, (event) => director.hearStore(event));
  const { folder, backend, files, seconds, workers } = options;
  const pause = Math.min(seconds * 1000 * workers / files.length, LONGEST_PAUSE);
  const late = setTimeout(() => director.fail("it takes too long"), seconds * 3_000 + 60_000);
  void store.ended.then(() => director.fail("the store has ended"));
  try {
    return await director.run({ folder, backend, namespace, pause, store: store.port });
  } finally {
    clearTimeout(late);
  }
}

/** Starts workers, and does to them what the plan of faults says, until all have ended. */
class Director {
  readonly #options: DemoOptions;
  readonly #coord: Coordinator;
  readonly #view: View;
  readonly #ledger: Ledger;
  readonly #faults = new Faults();
  readonly #crew = new Crew((member, event) => this.#hear(member, event), () => this.#change());
  readonly #over = Promise.withResolvers<void>();
  #group: ReadonlySet<string> = new Set();
  #leader: string | undefined;
  #kills = 0;
  #stalls = 0;
  #stalled: { readonly member: CrewMember; readonly attempt: Attempt } | undefined;

  constructor(options: DemoOptions, coord: Coordinator, view: View) {
    this.#options = options;
    this.#coord = coord;
    this.#view = view;
    this.#ledger = new Ledger(options.files);
    this.#over.promise.catch(() => {}); // Nobody may be waiting yet when it fails.
  }

  async run(settings: Parameters<Crew["start"]>[0]): Promise<Outcome> {
    const group = this.#coord.group("workers");
    await group.create();
    await using members = await group.watch();
    await using leader = await this.#coord.election("summary").watch();
    const { workers: count, files, folder } = this.#options;
    this.#say(
      `${count} workers share ${files.length} files of ${folder} out; locks by "${this.#coord.driver}"`,
    );
    this.#crew.start(settings, count);
    void this.#follow(members, () => this.#group = new Set(members.members.keys()));
    void this.#follow(leader, () => this.#see(leader.leader?.memberId));
    await this.#over.promise;
    const isComplete = this.#faults.over && this.#stalls > 0;
    return { ledger: this.#ledger, workers: this.#crew.members, kills: this.#kills, isComplete };
  }

  fail(why: string): void {
    this.#over.reject(new Error(`Cannot go on with the demo: ${why}`));
  }

  hearStore(event: StoreEvent): void {
    if (event.type === "listening") return;
    this.#ledger.hear(event);
    if (event.type === "written") this.#seeWrite(event);
    if (event.type === "refused") {
      this.#say(
        `the store refuses ${event.worker}: token ${event.token} is old, it has seen ${event.greatest}`,
      );
    }
    this.#change();
  }

  #seeWrite(event: Attempt): void {
    const member = this.#crew.find(event.worker);
    if (event.file === SUMMARY) return this.#say(`${event.worker} writes the summary`);
    if (member) {
      member.written++;
      member.holds = undefined; // It is about to say so itself.
    }
    if (this.#ledger.isRewritten(event.file)) {
      this.#say(`the store takes what ${event.worker} writes late, with the old token ${event.token}`);
    }
    const late = this.#stalled;
    if (late?.attempt.file !== event.file || late.member === member) return;
    this.#stalled = undefined;
    this.#say(
      `${event.worker} has written ${event.file} with token ${event.token}; ${late.member.id} goes on`,
    );
    late.member.resume();
  }

  #hear(member: CrewMember, event: WorkerEvent): void {
    if (event.type === "took") member.holds = event;
    else if (event.type === "stalls") this.#breakLock(member, event);
    else if (event.type === "trouble") this.#say(`${member.id}: ${event.why}`);
    else member.holds = undefined;
    if (event.type === "lost") this.#say(`${member.id} learns that it has lost ${event.file}`);
    this.#change();
  }

  /** What an operator does when a worker hangs. The lock then is somebody else's; the worker cannot know. */
  #breakLock(member: CrewMember, { file, token }: Omit<Attempt, "worker">): void {
    member.condition = "stopped";
    this.#stalls++;
    this.#stalled = { member, attempt: { file, token, worker: member.id } };
    this.#say(`${member.id} is stopped in the middle of writing ${file}, token ${token}; its lock is broken`);
    this.#coord.lock(file).break().catch(this.#over.reject);
  }

  #kill(member: CrewMember, what: string): void {
    const held = member.holds ? `, which holds ${member.holds.file}` : "";
    this.#say(`kill -9 of ${what}, ${member.id}${held}; another worker starts`);
    member.kill();
    this.#kills++;
    this.#crew.add();
  }

  #see(leader: string | undefined): void {
    // Once there is a summary, each worker leads for a moment to find that nothing is left to do.
    if (leader === this.#leader || this.#ledger.summary) return;
    this.#leader = leader;
    if (leader !== undefined) this.#say(`${leader} leads`);
  }

  async #follow(changes: AsyncIterable<unknown>, look: () => void): Promise<void> {
    look();
    for await (const _ of changes) {
      look();
      this.#change();
    }
  }

  #say(text: string): void {
    this.#view.say(text);
  }

  #change(): void {
    const [files, written] = [this.#ledger.files.length, this.#ledger.written];
    const leader = this.#crew.find(this.#leader ?? "");
    const kill = (member: CrewMember, what: string) => this.#kill(member, what);
    this.#faults.step({ files, written, workers: this.#crew.alive, leader, kill });
    const { members: workers } = this.#crew;
    this.#view.draw({
      backend: this.#coord.driver,
      files,
      written,
      workers,
      group: this.#group,
      leader: this.#leader,
    });
    if (workers.length > 0 && this.#crew.alive.length === 0) this.#over.resolve();
  }
}
