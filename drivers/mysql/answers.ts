/** Values as text: numbers may be greater than the language's. */
export type Row = readonly (string | null)[];

/** What one statement has answered: rows of text, or how many rows it has changed. */
export interface Answer {
  readonly rows: readonly Row[];
  readonly affected: number;
  /** The number that the server gave the row that was inserted. */
  readonly inserted: bigint;
}

/** The answer of a statement that has none. */
export const NOTHING: Answer = { rows: [], affected: 0, inserted: 0n };

/** What was written comes back exactly, a byte order mark too. */
const TEXT = new TextDecoder("utf-8", { ignoreBOM: true });

/** What the client library has read: a request of one statement has its result alone, one of several has a list; so have their fields. */
export function toAnswers(results: unknown, fields: unknown): Answer[] {
  const isList = Array.isArray(fields) && fields.some((one) => one === undefined || Array.isArray(one));
  // The library's types do not know of lists of lists.
  return (isList ? results as unknown[] : [results]).map(toAnswer);
}

function toAnswer(result: unknown): Answer {
  if (Array.isArray(result)) return { ...NOTHING, rows: result.map(toTexts) };
  const { affectedRows, insertId } = result as { affectedRows: number; insertId: number | string };
  return { ...NOTHING, affected: affectedRows, inserted: BigInt(insertId) };
}

/** All values as text: numbers may be greater than the language's. */
function toTexts(row: readonly (Uint8Array | null)[]): (string | null)[] {
  return row.map((bytes) => bytes && TEXT.decode(bytes));
}
