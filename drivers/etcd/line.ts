import { Buffer } from "node:buffer";
import type { ICompare, IRangeRequest, IRangeResponse, ITxnRequest, ITxnResponse } from "etcd3";
import type { Mode } from "../../driver.ts";
import {
  Interrupted,
  type Line,
  type LineEntry,
  type NewEntry,
  type Place,
  type Position,
  type Standing,
} from "../../internal/tree/store.ts";
import { between, type KeyRange, one, under } from "./keys.ts";
import type { EtcdStore } from "./store.ts";

/**
 * The entries of a lock, in the order of their create revisions, as etcd's own concurrency recipes have them: writers
 * under the hexadecimal number of their lease, so that `etcdctl lock` and we exclude one another, readers apart.
 */
export class EtcdLine implements Line {
  readonly #store: EtcdStore;
  readonly #dir: string;

  constructor(store: EtcdStore, dir: string) {
    this.#store = store;
    this.#dir = dir;
  }

  async enter(entry: NewEntry): Promise<Standing> {
    const path = this.#store.slots.take(entry.id, this.#first(entry));
    const answer = await this.#txn(entry, {
      compare: [isAt(path, "0")],
      success: [
        { request_put: { ...one(path), value: Buffer.from(entry.value), lease: this.#store.lease } },
        // The newest is our own, unless it is a reader's look at the writers.
        { request_range: { ...this.#ahead(entry), ...NEWEST, limit: entry.mode === "shared" ? 1 : 2 } },
      ],
      failure: [{ request_range: { ...one(path), keys_only: true } }],
    });
    const { revision } = answer.header;
    if (answer.succeeded) {
      const keys = keysOf(answer, 1).filter((key) => key !== path);
      return { place: { path, token: BigInt(revision) }, ahead: keys[0], at: revision };
    }
    const token = BigInt(rangeOf(answer, 0)?.kvs[0]?.create_revision ?? 0);
    // Gone again between the two looks only if somebody breaks it: then there is another chance.
    return await this.look(entry, { path, token }) ?? await this.enter(entry);
  }

  async look(entry: NewEntry, { path, token }: Place): Promise<Standing | undefined> {
    const before: IRangeRequest = {
      ...this.#ahead(entry),
      ...NEWEST,
      limit: 1,
      max_create_revision: String(token - 1n),
    };
    const answer = await this.#store.txn({
      compare: [isAt(path, String(token))],
      success: [{ request_range: before }],
      failure: [],
    });
    if (!answer.succeeded) return undefined;
    return { place: { path, token }, ahead: keysOf(answer, 0)[0], at: answer.header.revision };
  }

  async leave(entry: NewEntry, place?: Place): Promise<boolean> {
    const path = this.#store.slots.find(entry.id);
    if (path === undefined) return false;
    // Without a place it may be any that was made for the entry: nobody else's has the key.
    const isThere = place
      ? isAt(path, String(place.token))
      : { ...isAt(path, "0"), result: "Greater" } as const;
    const { succeeded } = await this.#txn(entry, deletion(path, isThere));
    this.#store.slots.free(entry.id);
    return succeeded;
  }

  async amend({ path, token }: Place, value: string): Promise<boolean> {
    const answer = await this.#store.txn({
      compare: [isAt(path, String(token))],
      success: [{ request_put: { ...one(path), value: Buffer.from(value), ignore_lease: true } }],
      failure: [],
    });
    return answer.succeeded;
  }

  async list(): Promise<{ entries: LineEntry[]; at: Position }> {
    const { kvs, header } = await this.#store.ask((client, options) =>
      client.kv.range({ ...under(this.#dir), sort_order: "Ascend", sort_target: "Create" }, options)
    );
    const entries = kvs.map(({ key, value, create_revision }) => {
      const path = key.toString();
      return { ...this.#describe(path), path, value: value.toString(), token: BigInt(create_revision) };
    });
    return { entries, at: header.revision };
  }

  async remove({ path, token }: Place): Promise<boolean> {
    return (await this.#store.txn(deletion(path, isAt(path, String(token))))).succeeded;
  }

  changed(path: string | undefined, at: Position, signal: AbortSignal): Promise<void> {
    return this.#store.changed(path === undefined ? under(this.#dir) : one(path), at, signal);
  }

  /** The key of the session's first entry; further ones have a number after it. */
  #first({ mode }: NewEntry): string {
    return `${this.#dir}${mode === "shared" ? "r/" : ""}${this.#store.leaseHex}`;
  }

  #describe(path: string): { id: string; mode: Mode } {
    const id = path.slice(this.#dir.length);
    return { id, mode: id.startsWith("r/") ? "shared" : "exclusive" };
  }

  async #txn(entry: NewEntry, request: ITxnRequest): Promise<ITxnResponse> {
    try {
      return await this.#store.txn(request);
    } catch (error) {
      if (error instanceof Interrupted) this.#store.slots.doubt(entry.id);
      throw error;
    }
  }

  /** Where those are for whom an entry has to wait. */
  #ahead({ mode }: NewEntry): KeyRange {
    return mode === "shared" ? between(`${this.#dir}0`, `${this.#dir}g`) : under(this.#dir);
  }
}

const NEWEST = { sort_order: "Descend", sort_target: "Create", keys_only: true } as const;

/** Whether a key is the one made at a revision; 0: whether there is none. */
export function isAt(path: string, revision: string): ICompare {
  return { ...one(path), target: "Create", result: "Equal", create_revision: revision };
}

function deletion(path: string, isThere: ICompare): ITxnRequest {
  return { compare: [isThere], success: [{ request_delete_range: one(path) }], failure: [] };
}

function rangeOf(answer: ITxnResponse, at: number): IRangeResponse | undefined {
  return answer.responses[at]?.response_range;
}

function keysOf(answer: ITxnResponse, at: number): string[] {
  return rangeOf(answer, at)?.kvs.map(({ key }) => key.toString()) ?? [];
}
