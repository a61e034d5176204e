import { Buffer } from "node:buffer";
import type { LockFile } from "../../internal/platform/flock.ts";

/**
 * What a lock file says of itself. Only who holds the lock writes it, the first byte apart: by that, waiters tell the
 * holder to ring when it lets go, so that an uncontended release reads one byte instead of a directory.
 */
export interface Stored {
  /** Of the writer: with another epoch `counter` may be older than the tokens that were given out. */
  readonly epoch: string;
  /** The last token of an exclusive grant. */
  readonly counter: bigint;
  /** All tokens of this file are at most this, which the fence file keeps durably. */
  readonly ceiling: bigint;
}

/** All of it. */
export interface Header extends Stored {
  /** The owner record of the exclusive holder, as it was written; empty: nobody. */
  readonly record: string;
}

/** `<flag><checksum> <epoch> <counter> <ceiling> <bytes of the record> <its checksum>\n<record>` */
const SIZE = 1 + 8 + 1 + 16 + 1 + 19 + 1 + 19 + 1 + 10 + 1 + 8 + 1;

const QUEUED = "W".charCodeAt(0);
const EMPTY = checksum("");
const flag = Buffer.alloc(1);

/** Whether somebody may wait for this lock. */
export function readQueued(file: LockFile): boolean {
  return file.read(flag, 0) === 1 && flag[0] === QUEUED;
}

/** Says that somebody waits. To take it back, hold the lock alone. */
export function writeQueued(file: LockFile, queued: boolean): void {
  file.write(Buffer.from(queued ? "W" : "-"), 0);
}

/** What taking a lock needs: the header alone, and whether somebody waits. Undefined: empty, cut off or torn. */
export function readHeader(file: LockFile): { queued: boolean; header: Stored | undefined } {
  const bytes = Buffer.allocUnsafe(SIZE);
  const length = file.read(bytes, 0);
  const queued = length > 0 && bytes[0] === QUEUED;
  return { queued, header: length < SIZE ? undefined : parse(bytes)?.header };
}

/** The whole of it, which another process may be changing: torn is undefined. */
export function readAll(file: LockFile): Header | undefined {
  let bytes = Buffer.allocUnsafe(1024);
  let length = file.read(bytes, 0);
  const parsed = length < SIZE ? undefined : parse(bytes);
  if (!parsed) return undefined;
  if (SIZE + parsed.size > length) {
    bytes = Buffer.allocUnsafe(SIZE + parsed.size);
    length = file.read(bytes, 0);
  }
  const record = bytes.subarray(SIZE, SIZE + parsed.size).toString("utf8");
  if (length < SIZE + parsed.size || checksum(record) !== parsed.sum) return undefined;
  return { ...parsed.header, record };
}

/** Writes all but the first byte, in one go. */
export function writeHeader(file: LockFile, header: Header): void {
  const size = header.record === "" ? 0 : Buffer.byteLength(header.record);
  const fields = `${header.epoch} ${digits(header.counter, 19)} ${digits(header.ceiling, 19)} ${
    digits(size, 10)
  } ${size === 0 ? EMPTY : checksum(header.record)}`;
  file.write(Buffer.from(`${checksum(fields)} ${fields}\n${header.record}`), 1);
}

function parse(bytes: Buffer): { header: Stored; size: number; sum: string } | undefined {
  const text = bytes.toString("latin1", 1, SIZE - 1);
  const fields = text.slice(9);
  if (checksum(fields) !== text.slice(0, 8)) return undefined;
  return {
    header: {
      epoch: fields.slice(0, 16),
      counter: BigInt(fields.slice(17, 36)),
      ceiling: BigInt(fields.slice(37, 56)),
    },
    size: Number(fields.slice(57, 67)),
    sum: fields.slice(68),
  };
}

function digits(value: bigint | number, width: number): string {
  return String(value).padStart(width, "0");
}

/** FNV-1a of the text's units: tells a torn read, guards against nobody. */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
