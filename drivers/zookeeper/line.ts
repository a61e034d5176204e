import type { Target } from "../../driver.ts";
import type { Line, LineEntry, NewEntry, Place, Position, Standing } from "../../internal/tree/store.ts";
import type { Directory, Link } from "./link.ts";
import { type EntryName, entryPrefix, lineDirectory, predecessor, readEntries } from "./paths.ts";
import { isDone, orAbsent } from "./requests.ts";
import type { ZookeeperStore } from "./store.ts";
import { toPosition } from "./watches.ts";

/** The queue of a lock: ephemeral nodes with a number, as in ZooKeeper's recipe for locks, and in Curator's. */
export class ZookeeperLine implements Line {
  readonly #store: ZookeeperStore;
  readonly #directory: string;
  /** The one node of the latest entry, if it is certain that there is no other. */
  #sure: { readonly id: string; readonly path: string } | undefined;

  constructor(store: ZookeeperStore, target: Target) {
    this.#store = store;
    this.#directory = lineDirectory(store.root, target);
  }

  enter(entry: NewEntry, again: boolean): Promise<Standing> {
    return this.#store.connection.run(async (link) => {
      this.#sure = undefined;
      const found = again ? await this.#find(link, entry) : undefined;
      const standing = found ?? await this.#make(link, entry);
      if (!again) this.#sure = { id: entry.id, path: standing.place.path };
      return standing;
    });
  }

  /** Makes the entry and lists the line in one trip. */
  async #make(link: Link, { id, mode, value }: NewEntry): Promise<Standing> {
    for (;;) {
      const made = link.entry(`${this.#directory}/${entryPrefix(id, mode)}`, value);
      const answers = await orAbsent(Promise.all([made, link.children(this.#directory)]));
      if (answers) {
        const [{ name, token }, directory] = answers;
        const place = { path: `${this.#directory}/${name}`, token };
        const standing = this.#standing(directory, place);
        // Somebody has taken it away between the two, and who was before it is not known.
        if (!standing) continue;
        this.#store.note(this.#directory, place.path, true);
        return standing;
      }
      // The line was empty, so that a server or another session has removed its directory.
      await this.#store.makeWay(link, `${this.#directory}/`);
    }
  }

  /** Looks for an entry that an earlier try may have made. */
  async #find(link: Link, { id }: NewEntry): Promise<Standing | undefined> {
    const directory = await this.#read(link);
    const own = readEntries(directory?.names ?? []).find((one) => one.id === id);
    if (!directory || !own) return undefined;
    const path = `${this.#directory}/${own.name}`;
    const stat = await link.stat(path);
    // One of a session before this one is about to go.
    if (stat?.ephemeralOwner.readBigInt64BE() !== this.#store.connection.owner) return undefined;
    this.#store.note(this.#directory, path, true);
    return this.#standing(directory, { path, token: stat.czxid.readBigInt64BE() });
  }

  look(_entry: NewEntry, place: Place): Promise<Standing | undefined> {
    return this.#store.connection.run(async (link) => {
      const directory = await this.#read(link);
      return directory && this.#standing(directory, place);
    });
  }

  async #read(link: Link): Promise<Directory | undefined> {
    const [, directory] = await Promise.all([link.sync(), orAbsent(link.children(this.#directory))]);
    return directory;
  }

  #standing({ names, at }: Directory, place: Place): Standing | undefined {
    const entries = readEntries(names);
    const own = entries.find(({ name }) => this.#path({ name }) === place.path);
    if (!own) return undefined;
    const ahead = predecessor(entries, own);
    return { place, ahead: ahead && this.#path(ahead), at: toPosition(at) };
  }

  leave({ id }: NewEntry, place?: Place): Promise<boolean> {
    return this.#store.connection.run(async (link) => {
      const known = place ?? (this.#sure?.id === id ? this.#sure : undefined);
      const paths = known ? [known.path] : await this.#search(link, id);
      const removed = await Promise.all(paths.map((path) => isDone(link.remove(path))));
      for (const path of paths) this.#store.note(this.#directory, path, false);
      return removed.includes(true);
    });
  }

  /** All nodes of an attempt: where it was made more than once there are several. */
  async #search(link: Link, id: string): Promise<string[]> {
    const entries = readEntries((await this.#read(link))?.names ?? []);
    return entries.filter((entry) => entry.id === id).map((entry) => this.#path(entry));
  }

  #path({ name }: Pick<EntryName, "name">): string {
    return `${this.#directory}/${name}`;
  }

  amend({ path }: Place, value: string): Promise<boolean> {
    return this.#store.connection.run((link) => isDone(link.write(path, value)));
  }

  list(): Promise<{ entries: readonly LineEntry[]; at: Position }> {
    return this.#store.connection.run(async (link) => {
      const directory = await this.#read(link);
      if (!directory) return { entries: [], at: toPosition(link.at, false) };
      const names = readEntries(directory.names);
      const entries = await Promise.all(names.map((name) => this.#entry(link, name)));
      return { entries: entries.filter((entry) => entry !== undefined), at: toPosition(directory.at) };
    });
  }

  async #entry(link: Link, { name, id, mode }: EntryName): Promise<LineEntry | undefined> {
    const path = this.#path({ name });
    const node = await orAbsent(link.read(path));
    return node && { id, mode, path, token: node.stat.czxid.readBigInt64BE(), value: node.value };
  }

  remove({ path }: Place): Promise<boolean> {
    return this.#store.connection.run((link) => isDone(link.remove(path)));
  }

  async changed(path: string | undefined, at: Position, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const watch = await this.#store.connection.run(({ watches }) =>
      path === undefined ? watches.directory(this.#directory) : watches.node(path)
    );
    await watch.wait(at, signal);
  }
}
