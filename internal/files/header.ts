import type { LockFile } from "../platform/flock.ts";

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

/** Where each part begins: numbers are little endian, the epoch is 16 characters. */
const FLAG = 0;
const SUM = 1;
const EPOCH = 5;
const COUNTER = 21;
const CEILING = 29;
const RECORD_SIZE = 37;
const RECORD_SUM = 41;
const RECORD = 45;

const QUEUED = "W".charCodeAt(0);
const flag = new Uint8Array(1);

/** Bytes and their numbers; what is needed at every step is made once, since nothing waits in between. */
interface Block {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

const [head, scratch] = [makeBlock(RECORD), makeBlock(1024)];
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The size and the checksum of no record. */
const NO_RECORD = makeBlock(RECORD - RECORD_SIZE);
NO_RECORD.view.setUint32(RECORD_SUM - RECORD_SIZE, checksum(NO_RECORD, 0, 0), true);

/** Whether somebody may wait for this lock. */
export function readQueued(file: LockFile): boolean {
  return file.read(flag, FLAG) === 1 && flag[0] === QUEUED;
}

/** Says that somebody waits. To take it back, hold the lock alone. */
export function writeQueued(file: LockFile, queued: boolean): void {
  file.write(encoder.encode(queued ? "W" : "-"), FLAG);
}

/** What taking a lock needs: the header alone, and whether somebody waits. Undefined: empty, cut off or torn. */
export function readHeader(file: LockFile): { queued: boolean; header: Stored | undefined } {
  const length = file.read(head.bytes, 0);
  const queued = length > 0 && head.bytes[FLAG] === QUEUED;
  return { queued, header: length < RECORD ? undefined : parse(head) };
}

/** Read while another process was writing. */
export const TORN: unique symbol = Symbol("torn");

/** The whole of it, which another process may be changing. Undefined: empty, or cut off. */
export function readAll(file: LockFile): Header | typeof TORN | undefined {
  let block = makeBlock(1024);
  let length = file.read(block.bytes, 0);
  if (length < RECORD) return undefined;
  const header = parse(block);
  if (!header) return TORN;
  const end = RECORD + block.view.getUint32(RECORD_SIZE, true);
  if (end > length) {
    block = makeBlock(end);
    length = file.read(block.bytes, 0);
  }
  if (length < end || checksum(block, RECORD, end) !== block.view.getUint32(RECORD_SUM, true)) return TORN;
  return { ...header, record: decoder.decode(block.bytes.subarray(RECORD, end)) };
}

/** Writes all but the first byte, in one go. */
export function writeHeader(file: LockFile, { epoch, counter, ceiling, record }: Header): void {
  // UTF-8 has at most three bytes for each unit of a string.
  const most = RECORD + record.length * 3;
  const block = most > scratch.bytes.length ? makeBlock(most) : scratch;
  const { bytes, view } = block;
  encoder.encodeInto(epoch, bytes.subarray(EPOCH, COUNTER));
  view.setBigUint64(COUNTER, counter, true);
  view.setBigUint64(CEILING, ceiling, true);
  view.setUint32(SUM, checksum(block, EPOCH, RECORD_SIZE), true);
  const size = encoder.encodeInto(record, bytes.subarray(RECORD)).written;
  view.setUint32(RECORD_SIZE, size, true);
  view.setUint32(RECORD_SUM, checksum(block, RECORD, RECORD + size), true);
  file.write(bytes.subarray(SUM, RECORD + size), SUM);
}

/** Leaves all but the record of the holder as it is. */
export function eraseRecord(file: LockFile): void {
  file.write(NO_RECORD.bytes, RECORD_SIZE);
}

function makeBlock(size: number): Block {
  const bytes = new Uint8Array(size);
  return { bytes, view: new DataView(bytes.buffer) };
}

function parse(block: Block): Stored | undefined {
  const { bytes, view } = block;
  if (checksum(block, EPOCH, RECORD_SIZE) !== view.getUint32(SUM, true)) return undefined;
  return {
    epoch: decoder.decode(bytes.subarray(EPOCH, COUNTER)),
    counter: view.getBigUint64(COUNTER, true),
    ceiling: view.getBigUint64(CEILING, true),
  };
}

/** FNV-1a: tells a torn read, guards against nobody. */
function checksum({ bytes }: Block, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  return hash >>> 0;
}
