import * as path from "node:path";

/** Where everything of one namespace stands. */
export interface Layout {
  readonly root: string;
  /** Locked shared by every live session: see `epoch.ts`. */
  readonly epoch: string;
  readonly sessions: string;
  readonly locks: string;
  readonly elections: string;
  readonly groups: string;
  /** The fence of all locks, whose directories then come and go; without it each lock has its own, and stays. */
  readonly fence?: string;
  /** So many tokens are reserved at once. */
  readonly block: bigint;
}

/** `block` is the number of tokens to reserve at once. */
export function layoutOf(root: string, block: bigint): Layout {
  return {
    root,
    block,
    epoch: path.join(root, "epoch"),
    sessions: path.join(root, "s"),
    locks: path.join(root, "l"),
    elections: path.join(root, "e"),
    groups: path.join(root, "g"),
  };
}
