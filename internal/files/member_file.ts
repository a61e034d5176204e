import * as path from "node:path";
import type { MemberRecord } from "../../driver.ts";
import { type Disk, replaceFile } from "./disk.ts";
import { ifThere } from "./failure.ts";
import { isSessionId } from "./liveness.ts";
import { encodeName } from "./names.ts";
import { parseObject } from "./record.ts";

/** What a member's file says. The member lives while its session does. */
export interface Member extends MemberRecord {
  readonly id: string;
  readonly session: string;
  readonly incarnation: string;
}

const SUFFIX = ".json";

/** The file of a member. */
export function memberPath(directory: string, id: string): string {
  return path.join(directory, encodeName(id) + SUFFIX);
}

/** Whether a name in the directory may be a member's: half-written ones start with a dot. */
export function isMemberFile(name: string): boolean {
  return name.endsWith(SUFFIX) && !name.startsWith(".");
}

/**
 * Reads a member. Undefined: there is none, or the file is torn or foreign. A rename makes ours whole or not at all,
 * so that only a machine that crashed tears one, and its session is gone as well.
 */
export function readMember(disk: Disk, file: string): Member | undefined {
  const fields = parseObject(ifThere(() => disk.read(file)) ?? "");
  if (!fields) return undefined;
  const { id, session, incarnation, presence, data, joinedAt, updatedAt } = fields;
  if (typeof id !== "string" || !isSessionId(session) || typeof incarnation !== "string") return undefined;
  if (typeof presence !== "string" || typeof data !== "string") return undefined;
  if (typeof joinedAt !== "number" || typeof updatedAt !== "number") return undefined;
  if (path.basename(file) !== encodeName(id) + SUFFIX) return undefined;
  return { id, session, incarnation, presence, data, joinedAt, updatedAt };
}

/** Writes a member, so that readers see the old one or the new one. `unique` names the half-written file. */
export function writeMember(
  disk: Disk,
  file: string,
  { member, unique }: { member: Member; unique: string },
): void {
  replaceFile(disk, file, {
    text: JSON.stringify(member),
    fresh: path.join(path.dirname(file), `.${unique}`),
  });
}
