import type { Etcd3, IDuplexStream, IWatchRequest, IWatchResponse } from "etcd3";
import { either } from "../../core/abort.ts";
import type { Clock } from "../../driver.ts";
import type { KeyRange } from "./keys.ts";

type Stream = IDuplexStream<IWatchRequest, IWatchResponse>;

/** How long a watch that nobody waits for is kept, in ms: who looks after a change soon waits again. */
const LINGER = 100;

/** A watch at the server. */
interface Watch {
  readonly name: string;
  readonly id: string;
  /** The revision from which on it tells everything; undefined: not known yet. */
  since: bigint | undefined;
  /** That of the last change that it told. */
  last: bigint;
  readonly waiting: Set<() => void>;
  stopLinger: (() => void) | undefined;
}

/**
 * All watches of a link, on one stream. They begin with the present and are kept for a while, since the server makes
 * those that ask for the past wait for up to 100 ms.
 */
export class Watcher {
  readonly #client: Etcd3;
  readonly #clock: Clock;
  readonly #broken: (cause: unknown) => void;
  readonly #watches = new Map<string, Watch>();
  readonly #byId = new Map<string, Watch>();
  readonly #ending = new AbortController();
  #stream: Promise<Stream> | undefined;
  #isOver = false;
  #count = 0;

  constructor(client: Etcd3, clock: Clock, broken: (cause: unknown) => void) {
    this.#client = client;
    this.#clock = clock;
    this.#broken = broken;
  }

  /**
   * Resolves when the range has changed after a revision, or may have.
   * @throws {Interrupted} when the link has ended
   */
  async changed(range: KeyRange, revision: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const stream = await either(this.#stream ??= this.#opened(), this.#ending.signal);
    const watch = this.#watch(stream, range);
    const woken = Promise.withResolvers<void>();
    const abort = () => woken.reject(signal.reason);
    const look = () => {
      // What happened between the revision and its beginning it will not tell.
      if (watch.since !== undefined && (watch.since > BigInt(revision) || watch.last > BigInt(revision))) {
        woken.resolve();
      }
    };
    watch.waiting.add(look);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    try {
      look();
      await either(woken.promise, this.#ending.signal);
    } finally {
      signal.removeEventListener("abort", abort);
      watch.waiting.delete(look);
      if (watch.waiting.size === 0) this.#leave(stream, watch);
    }
  }

  #watch(stream: Stream, range: KeyRange): Watch {
    const name = `${range.key.toString("base64")} ${range.range_end?.toString("base64") ?? ""}`;
    const known = this.#watches.get(name);
    if (known) {
      known.stopLinger?.();
      return known;
    }
    // What a server before 3.4 gives out by itself, since it takes no wishes.
    const id = String(this.#count++);
    const watch: Watch = {
      name,
      id,
      since: undefined,
      last: 0n,
      waiting: new Set(),
      stopLinger: undefined,
    };
    this.#watches.set(name, watch);
    this.#byId.set(id, watch);
    stream.write({ create_request: { ...range, watch_id: id } });
    return watch;
  }

  #leave(stream: Stream, watch: Watch): void {
    if (this.#isOver || this.#watches.get(watch.name) !== watch) return;
    watch.stopLinger = this.#clock.after(LINGER, () => {
      this.#forget(watch);
      stream.write({ cancel_request: { watch_id: watch.id } });
    });
  }

  #forget(watch: Watch): void {
    if (this.#watches.get(watch.name) === watch) this.#watches.delete(watch.name);
    this.#byId.delete(watch.id);
  }

  /** To open it may need a login, which may fail. */
  #opened(): Promise<Stream> {
    const stream = this.#open();
    stream.catch(this.#broken);
    return stream;
  }

  async #open(): Promise<Stream> {
    const stream = await this.#client.watchClient.watch();
    stream.on("data", (answer) => this.#hear(answer));
    stream.on("error", this.#broken);
    stream.on("end", () => this.#broken(new Error("the server closed the connection")));
    if (this.#isOver) stream.cancel();
    return stream;
  }

  #hear({ watch_id, created, canceled, cancel_reason, events, header }: IWatchResponse): void {
    const watch = this.#byId.get(watch_id);
    // One that it refuses has not the number that was asked for; those that we have ended are forgotten.
    if (canceled && (watch || created)) {
      this.#broken(new Error(`the server refused a watch: ${cancel_reason}`));
    }
    if (canceled || !watch) return;
    if (created) watch.since = BigInt(header.revision);
    for (const { kv } of events) watch.last = BigInt(kv.mod_revision);
    for (const look of watch.waiting) look();
  }

  /** Ends the stream; its errors go nowhere from then on. */
  end(cause: Error): void {
    this.#isOver = true;
    for (const { stopLinger } of this.#watches.values()) stopLinger?.();
    this.#ending.abort(cause);
    this.#stream?.then((stream) => stream.cancel()).catch(() => {});
  }
}
