import type { Mode, Target } from "../../driver.ts";

/** A name as one part of a key. Keys stand in URLs, where the server cleans paths of empty parts, `.` and `..`. */
export function escapePart(name: string): string {
  const escaped = encodeURIComponent(name);
  return /^\.\.?$/.test(escaped) ? escaped.replaceAll(".", "%2E") : escaped;
}

/** The name that a part stands for; undefined where it is not one of ours. */
export function unescapePart(part: string): string | undefined {
  try {
    const name = decodeURIComponent(part);
    return escapePart(name) === part ? name : undefined;
  } catch {
    // A lone "%", which other software wrote.
    return undefined;
  }
}

/** The prefix of all keys. */
export function rootPrefix(namespace: string): string {
  return `${escapePart(namespace)}/`;
}

/** The prefix of all entries of a lock or an election. */
export function linePrefix(namespace: string, { kind, name }: Target): string {
  return `${rootPrefix(namespace)}${kind}s/${escapePart(name)}/`;
}

/** The key of an entry within its line. */
export function entryKey(mode: Mode, id: string): string {
  return `${mode === "shared" ? "r" : "w"}-${id}`;
}

/** What {@linkcode entryKey} made a key of; a key of other software counts as an exclusive entry. */
export function readEntryKey(key: string): { mode: Mode; id: string } {
  const [, letter, id] = /^([rw])-(.+)$/s.exec(key) ?? [];
  return { mode: letter === "r" ? "shared" : "exclusive", id: id ?? key };
}

/** The prefix of all groups. */
export function groupsPrefix(namespace: string): string {
  return `${rootPrefix(namespace)}groups/`;
}

/** The keys of one group. None is a prefix of another but the first two, so that each can be read as a tree. */
export function groupKeys(namespace: string, id: string) {
  const all = `${groupsPrefix(namespace)}${escapePart(id)}/`;
  const members = `${all}members/`;
  return {
    all,
    members,
    /** Stands as long as the group; its value tells who made it. */
    group: `${all}group`,
    /** Written by every join, so that a deletion can see one. */
    joined: `${all}joined`,
    member: (member: string) => `${members}${escapePart(member)}/`,
  };
}
