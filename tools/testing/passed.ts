import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import type { Cell } from "./cells.ts";
import type { CellResult } from "./run_cell.ts";

/** What of a result is kept. */
type Kept = Pick<CellResult, "tests" | "seconds" | "again">;

/** Cells that have passed on the working tree as it is, so that a long run can be taken up where it ended. */
export class Passed {
  readonly #folder: string | undefined;

  /** In a folder, by the state of the working tree; with `fresh`, what passed before is forgotten. */
  constructor(folder: string, { fresh }: { readonly fresh: boolean }) {
    const tree = workingTree();
    this.#folder = tree && `${folder}/${tree}`;
    if (fresh && this.#folder) rmSync(this.#folder, { recursive: true, force: true });
  }

  find(cell: Cell): CellResult | undefined {
    const file = this.#file(cell);
    if (file === undefined || !existsSync(file)) return undefined;
    // Written by `add`, in this very version.
    const kept = JSON.parse(readFileSync(file, "utf8")) as Kept;
    return { cell, output: "", ...kept };
  }

  add({ cell, tests, seconds, again }: CellResult): void {
    const file = this.#file(cell);
    if (file === undefined || tests.length === 0 || tests.some(({ status }) => status === "failed")) return;
    mkdirSync(this.#folder ?? "", { recursive: true });
    const kept: Kept = { tests, seconds, again };
    writeFileSync(file, JSON.stringify(kept));
  }

  #file({ name }: Cell): string | undefined {
    return this.#folder && `${this.#folder}/${name.replaceAll(/\W+/g, "-")}.json`;
  }
}

/** The name of the tree that git would make of all files here, ignored ones apart; undefined outside a checkout. */
function workingTree(): string | undefined {
  mkdirSync(".tmp", { recursive: true });
  const index = resolve(`.tmp/index-${process.pid}`);
  const git = (...args: string[]) =>
    spawnSync("git", args, { encoding: "utf8", env: { ...process.env, GIT_INDEX_FILE: index } });
  try {
    if (git("read-tree", "HEAD").status !== 0 || git("add", "--all").status !== 0) return undefined;
    return git("write-tree").stdout.trim() || undefined;
  } finally {
    rmSync(index, { force: true });
  }
}
