import { createHash } from "node:crypto";

/** File names may have 255 bytes; this leaves room for the suffixes of a driver's own. */
const LONGEST = 200;

/** How much of a name that is too long stays readable. */
const READABLE = 120;

/**
 * Makes a file name of any name, so that no two ever meet, on file systems that fold case or normalise too: lower-case
 * letters, digits, `-`, `_` and inner dots stand for themselves, any other byte of the UTF-8 becomes `%xx`. A long one is
 * cut and hashed: then only the file's contents can tell the name.
 */
export function encodeName(name: string): string {
  if (name === "") return "%";
  const encoded = /^[a-z0-9_-][a-z0-9_.-]*$/.test(name) ? name : escapeName(name);
  if (encoded.length <= LONGEST) return encoded;
  return `${encoded.slice(0, READABLE)}~${createHash("sha256").update(name).digest("hex")}`;
}

function escapeName(name: string): string {
  let encoded = "";
  for (const byte of new TextEncoder().encode(name)) {
    const char = String.fromCharCode(byte);
    const plain = encoded === "" ? /[a-z0-9_-]/ : /[a-z0-9_.-]/;
    encoded += plain.test(char) ? char : `%${byte.toString(16).padStart(2, "0")}`;
  }
  return encoded;
}

/** The name behind a file name; undefined where it was hashed, or is none of ours. */
export function decodeName(file: string): string | undefined {
  if (file === "%") return "";
  if (file.includes("~")) return undefined;
  try {
    const name = decodeURIComponent(file);
    return encodeName(name) === file ? name : undefined;
  } catch {
    // Not UTF-8, so a foreign file.
    return undefined;
  }
}
