import * as fs from "node:fs";
import * as path from "node:path";
import type { MemberRecord } from "../../driver.ts";
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
export function readMember(file: string): Member | undefined {
  const fields = parseObject(ifThere(() => fs.readFileSync(file, "utf8")) ?? "");
  if (!fields) return undefined;
  const { id, session, incarnation, presence, data, joinedAt, updatedAt } = fields;
  if (typeof id !== "string" || !isSessionId(session) || typeof incarnation !== "string") return undefined;
  if (typeof presence !== "string" || typeof data !== "string") return undefined;
  if (typeof joinedAt !== "number" || typeof updatedAt !== "number") return undefined;
  if (path.basename(file) !== encodeName(id) + SUFFIX) return undefined;
  return { id, session, incarnation, presence, data, joinedAt, updatedAt };
}

/** Writes a member, so that readers see the old one or the new one. `unique` names the half-written file. */
export function writeMember(file: string, member: Member, unique: string): void {
  const fresh = path.join(path.dirname(file), `.${unique}`);
  try {
    fs.writeFileSync(fresh, JSON.stringify(member));
    fs.renameSync(fresh, file);
  } catch (error) {
    fs.rmSync(fresh, { force: true });
    throw error;
  }
}

/** Changes whenever the file does: each write makes another file. */
export function signatureOf(file: string): string | undefined {
  const stat = fs.statSync(file, { bigint: true, throwIfNoEntry: false });
  return stat && `${stat.ino} ${stat.mtimeNs} ${stat.size}`;
}
