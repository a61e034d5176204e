import type { Etcd3, IDuplexStream, ILeaseKeepAliveRequest, ILeaseKeepAliveResponse } from "etcd3";
import { SessionGone } from "../../internal/tree/store.ts";

type Stream = IDuplexStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;

/** The stream that keeps a lease alive: answers come in the order of the requests. */
export class Heart {
  readonly #client: Etcd3;
  readonly #broken: (cause: unknown) => void;
  readonly #waiting: PromiseWithResolvers<void>[] = [];
  #stream: Promise<Stream> | undefined;
  #over: Error | undefined;

  constructor(client: Etcd3, broken: (cause: unknown) => void) {
    this.#client = client;
    this.#broken = broken;
  }

  /** Renews the lease. The stream opens with the first call and stays, so its end tells that the server went away. */
  async beat(lease: string): Promise<void> {
    const stream = await (this.#stream ??= this.#opened());
    // It may have ended while the stream opened.
    if (this.#over) throw this.#over;
    const beat = Promise.withResolvers<void>();
    this.#waiting.push(beat);
    stream.write({ ID: lease });
    await beat.promise;
  }

  /** To open it may need a login, which may fail. */
  #opened(): Promise<Stream> {
    const stream = this.#open();
    stream.catch(this.#broken);
    return stream;
  }

  async #open(): Promise<Stream> {
    const stream = await this.#client.leaseClient.leaseKeepAlive();
    stream.on("data", ({ TTL }) => {
      const beat = this.#waiting.shift();
      if (Number(TTL) > 0) beat?.resolve();
      else beat?.reject(new SessionGone("the lease has expired"));
    });
    stream.on("error", this.#broken);
    stream.on("end", () => this.#broken(new Error("the server closed the connection")));
    if (this.#over) stream.cancel();
    return stream;
  }

  /** Ends the stream; its errors go nowhere from then on. */
  end(cause: Error): void {
    this.#over = cause;
    for (const beat of this.#waiting.splice(0)) beat.reject(cause);
    this.#stream?.then((stream) => stream.cancel()).catch(() => {});
  }
}
