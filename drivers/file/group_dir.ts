import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { GroupAlreadyExistError, GroupNotCreatedError } from "../../core/errors.ts";
import type { LockFile } from "../../internal/platform/flock.ts";
import type { Context } from "./context.ts";
import { listNames, makeDirectory } from "./directory.ts";
import { codeOf, DRIVER, ifThere } from "./failure.ts";
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
    const fresh = path.join(this.#context.layout.groups, `.${randomUUID()}`);
    makeDirectory(path.join(fresh, "m"));
    fs.writeFileSync(path.join(fresh, "gate"), "");
    fs.writeFileSync(path.join(fresh, "group"), JSON.stringify({ id: this.id, life: randomUUID() }));
    try {
      // Refused where a directory with something in it stands.
      fs.renameSync(fresh, this.path);
    } catch (error) {
      fs.rmSync(fresh, { recursive: true });
      const code = codeOf(error);
      if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
      throw new GroupAlreadyExistError(`Cannot create group "${this.id}": it exists`, { driver: DRIVER });
    }
  }

  /** Removes it from sight at once; call it in the gate. */
  delete(): void {
    const gone = path.join(this.#context.layout.groups, `.${randomUUID()}`);
    fs.renameSync(this.path, gone);
    fs.rmSync(gone, { recursive: true });
  }

  /** Tells this life of the group from one after a deletion; undefined: the group does not exist. */
  life(): string | undefined {
    return readGroup(this.path)?.life;
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
    return new GroupNotCreatedError(`Cannot use group "${this.id}": it does not exist`, { driver: DRIVER });
  }
}

/** The ids of all groups. What else stands among them is not ours. */
export function listGroups(context: Context): string[] {
  const ids: string[] = [];
  for (const name of listNames(context.layout.groups)) {
    const group = name.startsWith(".") ? undefined : readGroup(path.join(context.layout.groups, name));
    if (group && encodeName(group.id) === name) ids.push(group.id);
  }
  return ids;
}

function readGroup(place: string): { id: string; life: string } | undefined {
  let text: string | undefined;
  try {
    text = ifThere(() => fs.readFileSync(path.join(place, "group"), "utf8"));
  } catch (error) {
    // A foreign file where a group's directory would be.
    if (codeOf(error) !== "ENOTDIR") throw error;
  }
  const { id, life } = parseObject(text ?? "") ?? {};
  return typeof id === "string" && typeof life === "string" ? { id, life } : undefined;
}
