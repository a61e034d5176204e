import type { Target } from "../../driver.ts";
import type { Line, LineEntry, NewEntry, Place, Position, Standing } from "../../internal/tree/store.ts";
import { entryKey, linePrefix, readEntryKey } from "./keys.ts";
import { readTree } from "./kv.ts";
import type { Link } from "./link.ts";
import type { Pair } from "./pair.ts";
import { commit, step, transact } from "./txn.ts";
import type { Waits } from "./waits.ts";

/** What lines and groups of a session have in common. */
export interface Context {
  readonly link: Link;
  readonly waits: Waits;
  /** The id of the session. */
  readonly session: string;
  readonly namespace: string;
}

/** The queue of one lock: a key for each entry, in the order of their making. */
export class ConsulLine implements Line {
  readonly #context: Context;
  readonly #prefix: string;

  constructor(context: Context, target: Target) {
    this.#context = context;
    this.#prefix = linePrefix(context.namespace, target);
  }

  async enter(entry: NewEntry): Promise<Standing> {
    const { link, session } = this.#context;
    const key = this.#key(entry);
    // A key that is there already, by an earlier try, stays where it stands.
    const steps = [step.lock(key, entry.value, session), step.tree(this.#prefix)];
    const { pairs } = await transact(link, steps);
    // The first is what the lock itself answers. A key that an operator has unlocked has lost its place to others.
    if (pairs?.[0] && pairs[0].locked > 1) {
      await this.leave(entry);
      return await this.enter(entry);
    }
    const standing = pairs && this.#stand(entry, pairs.slice(1));
    if (!standing) throw new Error(`another session has the key ${JSON.stringify(key)}`);
    return standing;
  }

  async look(entry: NewEntry): Promise<Standing | undefined> {
    const { pairs } = await readTree(this.#context.link, this.#prefix);
    return this.#stand(entry, pairs);
  }

  async leave(entry: NewEntry, place?: Place): Promise<boolean> {
    const { link, session } = this.#context;
    const key = place?.path ?? this.#key(entry);
    return await commit(link, [step.ifHeld(key, session), step.delete(key)]);
  }

  async amend({ path }: Place, value: string): Promise<boolean> {
    const { link, session } = this.#context;
    return await commit(link, [step.ifHeld(path, session), step.lock(path, value, session)]);
  }

  async list(): Promise<{ readonly entries: readonly LineEntry[]; readonly at: Position }> {
    const { pairs, index } = await readTree(this.#context.link, this.#prefix);
    return { entries: this.#order(pairs), at: index };
  }

  async remove({ path }: Place): Promise<boolean> {
    return await commit(this.#context.link, [step.get(path), step.delete(path)]);
  }

  changed(path: string | undefined, at: Position, signal: AbortSignal): Promise<void> {
    const awaited = { key: path ?? this.#prefix, isPrefix: path === undefined, index: at };
    return this.#context.waits.changed(awaited, signal);
  }

  #key({ mode, id }: NewEntry): string {
    return this.#prefix + entryKey(mode, id);
  }

  #order(pairs: readonly Pair[]): LineEntry[] {
    return this.#sort(pairs).map(({ key, value, created }) => {
      const { mode, id } = readEntryKey(key.slice(this.#prefix.length));
      return { path: key, token: created, id, mode, value };
    });
  }

  /** Those that belong to a session, in the order of their making. */
  #sort(pairs: readonly Pair[]): Pair[] {
    return pairs.filter(({ session }) => session !== "").sort((a, b) => a.created < b.created ? -1 : 1);
  }

  #stand(entry: NewEntry, pairs: readonly Pair[]): Standing | undefined {
    const key = this.#key(entry);
    // A key that an operator has unlocked stands in nobody's way.
    const own = pairs.find((pair) => pair.key === key && pair.session === this.#context.session);
    if (!own) return undefined;
    const isAhead = (pair: Pair) =>
      pair.created < own.created &&
      (entry.mode === "exclusive" || readEntryKey(pair.key.slice(this.#prefix.length)).mode === "exclusive");
    const ahead = this.#sort(pairs).filter(isAhead).at(-1);
    const place = { path: key, token: own.created };
    return { place, ahead: ahead?.key, at: ahead?.modified ?? own.modified };
  }
}
