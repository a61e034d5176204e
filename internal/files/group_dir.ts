import { randomUUID } from "node:crypto";
import * as path from "node:path";
import { GroupAlreadyExistError, GroupNotCreatedError } from "../../core/errors.ts";
import type { LockFile } from "../platform/flock.ts";
import type { Context } from "./context.ts";
import { type Disk, ensureDirectory, listNames } from "./disk.ts";
import { codeOf, ifThere } from "./failure.ts";
import { withGate } from "./gate.ts";
import { encodeName } from "./names.ts";
import { parseObject } from "./record.ts";

/** The directory of one group. It comes and goes whole, by a rename, so that whoever sees it sees all of it. */
export class GroupDir {
  readonly id: string;
  /** Names the group in rings. */
  readonly key: string;
  readonly path: string;
  /** A file for each member. */
  readonly members: string;
  readonly #context: Context;
  readonly #gate: string;

  constructor(context: Context, id: string) {
    const folder = encodeName(id);
    this.id = id;
    this.key = `group/${folder}`;
    this.path = path.join(context.layout.groups, folder);
    this.members = path.join(this.path, "m");
    this.#context = context;
    this.#gate = path.join(this.path, "gate");
  }

  create(): void {
    const { disk, layout, failures: { driver } } = this.#context;
    const fresh = path.join(layout.groups, `.${randomUUID()}`);
    ensureDirectory(disk, path.join(fresh, "m"));
    disk.write(path.join(fresh, "gate"), "", "new");
    disk.write(path.join(fresh, "group"), JSON.stringify({ id: this.id, life: randomUUID() }), "new");
    try {
      // Refused where a directory with something in it stands.
      disk.rename(fresh, this.path);
    } catch (error) {
      disk.removeTree(fresh);
      const code = codeOf(error);
      if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
      throw new GroupAlreadyExistError(`Cannot create group "${this.id}": it exists`, { driver });
    }
  }

  /** Removes it from sight at once; call it in the gate. */
  delete(): void {
    const gone = path.join(this.#context.layout.groups, `.${randomUUID()}`);
    this.#context.disk.rename(this.path, gone);
    this.#context.disk.removeTree(gone);
  }

  /** Tells this life of the group from one after a deletion; undefined: the group does not exist. */
  life(): string | undefined {
    return readGroup(this.#context.disk, this.path)?.life;
  }

  /** Does a step while nobody else changes the group. */
  async enter<T>(step: (gate: LockFile) => T): Promise<T> {
    const done = await withGate(
      this.#gate,
      { keeper: this.#context, create: false },
      (gate) => ({ value: step(gate) }),
    );
    if (!done) throw this.missing();
    return done.value;
  }

  missing(): GroupNotCreatedError {
    return new GroupNotCreatedError(`Cannot use group "${this.id}": it does not exist`, {
      driver: this.#context.failures.driver,
    });
  }
}

/** The ids of all groups. What else stands among them is not ours. */
export function listGroups({ disk, layout }: Context): string[] {
  const ids: string[] = [];
  for (const name of listNames(disk, layout.groups)) {
    const group = name.startsWith(".") ? undefined : readGroup(disk, path.join(layout.groups, name));
    if (group && encodeName(group.id) === name) ids.push(group.id);
  }
  return ids;
}

function readGroup(disk: Disk, place: string): { id: string; life: string } | undefined {
  let text: string | undefined;
  try {
    text = ifThere(() => disk.read(path.join(place, "group")));
  } catch (error) {
    // A foreign file where a group's directory would be.
    if (codeOf(error) !== "ENOTDIR") throw error;
  }
  const { id, life } = parseObject(text ?? "") ?? {};
  return typeof id === "string" && typeof life === "string" ? { id, life } : undefined;
}
