import process from "node:process";
import type { CrewMember } from "./crew.ts";

/** What is to be seen. */
export interface Picture {
  readonly backend: string;
  readonly files: number;
  readonly written: number;
  readonly workers: readonly CrewMember[];
  /** The member ids in the group, as the coordinator sees it. */
  readonly group: ReadonlySet<string>;
  readonly leader: string | undefined;
}

/** Shows a run while it runs. */
export interface View {
  /** Something worth a line of its own. */
  say(text: string): void;
  draw(picture: Picture): void;
}

/** A panel that is drawn over and over in a terminal; else plain lines. */
export function createView(): View {
  return process.stdout.isTTY ? new Panel() : new Lines();
}

/** Seconds since the start of the demo, to put before a line. */
function clock(): string {
  return `${(performance.now() / 1000).toFixed(1).padStart(5)} s `;
}

/** Names of files may hold anything. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, "?");
}

function activity({ condition, holds }: CrewMember): string {
  if (condition === "killed") return "killed";
  if (condition === "stopped") return `stopped, believes to hold ${holds?.file ?? "nothing"}`;
  if (condition === "works") return holds ? `holds ${holds.file} (token ${holds.token})` : "";
  return condition;
}

function row(member: CrewMember, { group, leader }: Picture): string {
  const isListed = group.has(member.id);
  const sign = leader === member.id ? "*" : " ";
  const alive = isListed ? "in the group" : member.condition === "works" ? "joins" : "";
  return `${sign} ${member.id.padEnd(10)} ${member.runtime.padEnd(5)} ${alive.padEnd(13)}` +
    `${String(member.written).padStart(5)} written  ${activity(member)}`;
}

function bar({ files, written }: Picture): string {
  const done = Math.floor(written / files * 30);
  return `[${"#".repeat(done)}${".".repeat(30 - done)}] ${written} of ${files} files`;
}

/** At most so many ms between two pictures. */
const PANEL_PAUSE = 80;
const LINE_PAUSE = 2_000;

class Panel implements View {
  #height = 0;
  #drawn = 0;
  #last: Picture | undefined;

  say(text: string): void {
    this.#print([`${clock()} ${printable(text)}`], this.#last ? this.#lines(this.#last) : []);
  }

  draw(picture: Picture): void {
    this.#last = picture;
    if (performance.now() - this.#drawn < PANEL_PAUSE && picture.written < picture.files) return;
    this.#drawn = performance.now();
    this.#print([], this.#lines(picture));
  }

  #lines(picture: Picture): string[] {
    const title = `${bar(picture)}   backend: ${picture.backend}   leader: ${picture.leader ?? "none"}`;
    return ["", title, ...picture.workers.map((member) => row(member, picture))];
  }

  /** Lines that stay, then those of the panel, over the last panel. */
  #print(kept: readonly string[], panel: readonly string[]): void {
    const up = this.#height > 0 ? `\x1b[${this.#height}A` : "";
    const fitted = panel.map((line) => printable(line).slice(0, (process.stdout.columns || 80) - 1));
    process.stdout.write(`${up}\r\x1b[J${[...kept, ...fitted].join("\n")}\n`);
    this.#height = panel.length;
  }
}

class Lines implements View {
  #drawn = 0;

  say(text: string): void {
    console.log(`${clock()} ${printable(text)}`);
  }

  draw(picture: Picture): void {
    if (performance.now() - this.#drawn < LINE_PAUSE) return;
    this.#drawn = performance.now();
    const alive = picture.workers.filter(({ id }) => picture.group.has(id));
    const holding = alive.flatMap(({ id, holds }) => holds ? [`${id} holds ${holds.file}`] : []);
    const leader = `${picture.leader ?? "nobody"} leads`;
    this.say([bar(picture), `alive: ${alive.map(({ id }) => id).join(" ")}`, leader, ...holding].join("; "));
  }
}
