import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "../../driver.ts";
import { file } from "../../drivers/file.ts";
import { NAMESPACE, openOn, type Party, PartyWorld } from "./party.ts";

export { eventually, lost, type Party } from "./party.ts";

/** Opens a session on a directory. */
export function openParty(url: string | undefined, memberId: string): Promise<Party> {
  return openOn(file(url), memberId);
}

/** A directory of its own, with sessions and processes on it. */
export class World extends PartyWorld {
  readonly directory: string = fs.mkdtempSync(join(tmpdir(), "coord-file-"));
  readonly url: string = `file://${this.directory}`;
  readonly namespace: string = NAMESPACE;
  readonly root: string = join(this.directory, NAMESPACE);

  /** What waits, holds or lives here still, which must be nothing once all is closed. */
  leftovers(): string[] {
    const files = fs.readdirSync(this.directory, { recursive: true }).map(String);
    return files.filter((path) => /^[^/]+\/s\/.|\/[qhm]\/./.test(path));
  }

  protected backend(): Backend {
    return file(this.url);
  }

  protected clear(): void {
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}
