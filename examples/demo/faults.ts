import type { CrewMember } from "./crew.ts";

/** What the faults are done to. */
export interface Scene {
  readonly files: number;
  readonly written: number;
  readonly workers: readonly CrewMember[];
  readonly leader: CrewMember | undefined;
  /** kill -9, and a replacement. */
  kill(member: CrewMember, why: string): void;
}

/** A fault: tries to happen now, and tells whether it did. */
type Fault = (scene: Scene) => boolean;

/** In the middle of a file, so that its lock is held by a dead process. */
function killWorker(scene: Scene): boolean {
  const busy = scene.workers.filter(({ holds, condition }) => holds && condition === "works");
  const victim = busy.find((member) => member !== scene.leader) ?? (isNearEnd(scene) ? busy[0] : undefined);
  if (victim) scene.kill(victim, "a worker");
  return victim !== undefined;
}

function killLeader(scene: Scene): boolean {
  if (scene.leader?.condition !== "works") return false;
  scene.kill(scene.leader, "the leader");
  return true;
}

/** Not the leader, so that the summary need not wait for it. */
function stallWriter(scene: Scene): boolean {
  const busy = scene.workers.filter(({ holds, condition }) => holds && condition === "works");
  const victim = busy.find((member) => member !== scene.leader) ?? (isNearEnd(scene) ? busy[0] : undefined);
  victim?.stallAtNextWrite();
  return victim !== undefined;
}

/** With few files left, there may be no better moment. */
function isNearEnd({ files, written, workers }: Scene): boolean {
  return files - written <= workers.length;
}

const PLAN: readonly { readonly after: number; readonly fault: Fault }[] = [
  { after: 0.15, fault: killWorker },
  { after: 0.35, fault: killLeader },
  { after: 0.55, fault: stallWriter },
];

/** The faults of the demo, one after another, each once a share of the files is written. */
export class Faults {
  #done = 0;

  /** Whether all have happened. */
  get over(): boolean {
    return this.#done === PLAN.length;
  }

  /** Call it whenever something has changed. */
  step(scene: Scene): void {
    const next = PLAN[this.#done];
    if (!next || scene.written < next.after * scene.files && !isNearEnd(scene)) return;
    if (next.fault(scene)) this.#done++;
  }
}
