import { spawn } from "node:child_process";
import process from "node:process";

/** What a program printed in all, and how it ended. */
export interface Output {
  /** Of both streams, as it came. */
  readonly said: string;
  readonly code: number | null;
}

/** Runs a program to its end, and keeps what it prints. */
export async function outputOf(
  [file = "", ...args]: readonly string[],
  { input = "", cwd = process.cwd() }: { readonly input?: string; readonly cwd?: string } = {},
): Promise<Output> {
  const child = spawn(file, args, { cwd, stdio: "pipe" });
  const decoders = [child.stdout, child.stderr].map((stream) => ({ stream, decoder: new TextDecoder() }));
  let said = "";
  for (const { stream, decoder } of decoders) {
    stream.on("data", (bytes: Uint8Array) => said += decoder.decode(bytes, { stream: true }));
  }
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { said, code };
}
