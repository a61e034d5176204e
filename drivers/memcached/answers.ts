/** What the server answered to one request of the meta protocol. */
export interface Answer {
  /** `HD` done, or `STORED` outside the meta protocol, `VA` a value, `EN` or `NF` not there, `NS` not stored, `EX` changed by somebody else. */
  readonly code: string;
  /** The item's version, where it was asked for. */
  readonly cas: string;
  readonly value: string;
}

/** Receives what a parser has understood. */
export interface Receiver {
  answer(answer: Answer): void;
  /** The server refused a request. */
  refusal(line: string): void;
  /** The lines of an answer to `stats`. */
  stats(lines: ReadonlyMap<string, string>): void;
}

const RETURN = 13;
const NEWLINE = 10;
const EMPTY = new Uint8Array(0);
const decoder = new TextDecoder();

/** Cuts what comes from a server into answers. */
export class Parser {
  readonly #receiver: Receiver;
  #rest: Uint8Array = EMPTY;
  #stats: Map<string, string> | undefined;

  constructor(receiver: Receiver) {
    this.#receiver = receiver;
  }

  feed(chunk: Uint8Array): void {
    const bytes = this.#rest.length === 0 ? chunk : join(this.#rest, chunk);
    let from = 0;
    for (let to = from; from < bytes.length; from = to) {
      to = this.#take(bytes, from);
      if (to === from) break;
    }
    this.#rest = bytes.subarray(from);
  }

  /** Takes one answer; says where the next begins. */
  #take(bytes: Uint8Array, from: number): number {
    const end = bytes.indexOf(NEWLINE, from);
    if (end < 0) return from;
    const line = decoder.decode(bytes.subarray(from, bytes[end - 1] === RETURN ? end - 1 : end));
    const [code = "", second = ""] = line.split(" ");
    if (code === "VA") {
      const start = end + 1;
      const stop = start + Number(second);
      if (bytes.length < stop + 2) return from;
      const value = decoder.decode(bytes.subarray(start, stop));
      this.#receiver.answer({ code, cas: casOf(line), value });
      return stop + 2;
    }
    this.#line(code, line);
    return end + 1;
  }

  #line(code: string, line: string): void {
    if (code === "STAT") {
      const [, name = "", ...value] = line.split(" ");
      (this.#stats ??= new Map()).set(name, value.join(" "));
    } else if (code === "END") {
      this.#receiver.stats(this.#stats ?? new Map());
      this.#stats = undefined;
    } else if (code.length === 2 || code === "STORED") {
      this.#receiver.answer({ code, cas: casOf(line), value: "" });
    } else {
      this.#receiver.refusal(line);
    }
  }
}

function casOf(line: string): string {
  const at = line.lastIndexOf(" c");
  return at < 0 ? "" : line.slice(at + 2);
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
