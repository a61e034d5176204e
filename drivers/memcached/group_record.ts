import type { Codec } from "./shelf.ts";

/** A member as it stands in a group's item. */
export interface GroupItem {
  readonly session: string;
  /** The group's revision in which it was written last. */
  readonly revision: number;
  readonly value: string;
}

/** A group and its members, in one item. */
export interface GroupRecord {
  /** Tells the group from an earlier one of the same id. */
  readonly by: string;
  readonly revision: number;
  readonly members: ReadonlyMap<string, GroupItem>;
}

export const GROUP: Codec<GroupRecord> = {
  encode: ({ by, revision, members }) => {
    const lines = [...members].map((
      [name, { session, revision, value }],
    ) => [name, session, revision, value]);
    return JSON.stringify([by, revision, ...lines]);
  },
  decode: (text) => {
    // Written by encode() alone.
    const [by, revision, ...lines] = JSON.parse(text) as [
      string,
      number,
      ...[string, string, number, string][],
    ];
    const members = new Map(
      lines.map(([name, session, revision, value]) => [name, { session, revision, value }]),
    );
    return { by, revision, members };
  },
};

/** Names a state of a group. */
export function stateOf({ by, revision }: GroupRecord): string {
  return `${by} ${revision}`;
}

/** Names a state of a member. */
export function versionOf(record: GroupRecord, item: GroupItem): string {
  return stateOf({ ...record, revision: item.revision });
}

/** The group with other members. */
export function revise(
  record: GroupRecord,
  change: (members: Map<string, GroupItem>, revision: number) => void,
): GroupRecord {
  const revision = record.revision + 1;
  const members = new Map(record.members);
  change(members, revision);
  return { ...record, revision, members };
}
