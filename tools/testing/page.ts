/** A sentence of the page, with its id. */
export interface Sentence {
  readonly id: string;
  readonly text: string;
  readonly line: number;
}

/** What a page says. */
export interface Page {
  readonly sentences: readonly Sentence[];
  /** Paragraphs, list items and comments of signatures that end without an id. */
  readonly unmarked: readonly { readonly text: string; readonly line: number }[];
}

/** One paragraph, list item, table row or line of code. */
interface Block {
  readonly kind: "prose" | "row" | "code";
  readonly line: number;
  text: string;
}

/** Not in backticks, where the page speaks of ids. */
const ID = /\[([A-Z]+\d+)\](?!`)/;

/** Reads a Markdown page whose sentences end with ids such as `[L7]`. */
export function readPage(markdown: string): Page {
  const blocks = split(markdown);
  const sentences = blocks.flatMap(sentencesOf);
  const unmarked = blocks.filter((block) => !isMarked(block)).map(({ text, line }) => ({ text, line }));
  return { sentences, unmarked };
}

function split(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: Block | undefined;
  let isCode = false;
  for (const [i, line] of markdown.split("\n").entries()) {
    const text = line.trim();
    const fence = text.startsWith("```");
    if (fence) isCode = !isCode;
    if (fence || text === "" || text.startsWith("#")) open = undefined;
    else if (isCode || text.startsWith("|")) {
      blocks.push({ kind: isCode ? "code" : "row", line: i + 1, text });
    } else if (open && !/^[-*] |^\d+\. /.test(text)) open.text += ` ${text}`;
    else blocks.push(open = { kind: "prose", line: i + 1, text: text.replace(/^[-*] /, "") });
  }
  return blocks;
}

function sentencesOf({ text, line }: Block): Sentence[] {
  const parts = text.split(new RegExp(ID, "g"));
  return parts.flatMap((id, i) => i % 2 === 0 ? [] : [{ id, line, text: (parts[i - 1] ?? "").trim() }]);
}

function isMarked({ kind, text }: Block): boolean {
  if (kind === "row") return true;
  if (kind === "code") return !/(^|\s)\/\/ /.test(text) || new RegExp(`${ID.source}$`).test(text);
  // A colon leads over to what follows, and that carries ids.
  return text.endsWith(":") || new RegExp(`${ID.source}$`).test(text);
}
