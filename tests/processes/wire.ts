/** One message to or from a worker; each is one line of JSON. */
export type Message =
  | { readonly kind: "call"; readonly id: number; readonly method: string; readonly args: readonly unknown[] }
  | { readonly kind: "result"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly error: WireError }
  | { readonly kind: "event"; readonly value: unknown }
  | { readonly kind: "ready" };

/** What of an error crosses a process border. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
}

/** JSON has no bigint, and fencing tokens are bigints. */
export function encode(message: Message): string {
  const text = JSON.stringify(message, (_key, value: unknown) => {
    return typeof value === "bigint" ? { $bigint: String(value) } : value;
  });
  return text + "\n";
}

export function decode(line: string): Message {
  // Both ends are ours, so the shape is known.
  return JSON.parse(line, (_key, value: unknown) => {
    const isBigint = typeof value === "object" && value !== null && "$bigint" in value;
    return isBigint ? BigInt(String(value.$bigint)) : value;
  }) as Message;
}

export function describeError(error: unknown): WireError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message } = error;
  return "code" in error && error.code !== undefined
    ? { name, message, code: String(error.code) }
    : { name, message };
}

/** The lines of a byte stream; ends with it, without the last line when that is cut off. */
export async function* lines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
