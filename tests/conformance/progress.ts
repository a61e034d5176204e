/** What the suite prints of its cases, so that of a run that hangs one can tell in which. */
const BEGUN = "BEGUN ";
const ENDED = "ENDED ";

export function begun(name: string): string {
  return BEGUN + name;
}

export function ended(name: string): string {
  return ENDED + name;
}

/** The cases that had begun and not ended when the output broke off, the last first: one that blocks the event loop. */
export function unfinished(output: string): string[] {
  const running = new Set<string>();
  for (const line of output.split("\n")) {
    if (line.startsWith(BEGUN)) running.add(line.slice(BEGUN.length));
    else if (line.startsWith(ENDED)) running.delete(line.slice(ENDED.length));
  }
  return [...running].reverse();
}
