import { MemberNotJoinedError } from "../../core/errors.ts";
import type { Presence } from "../../driver.ts";
import { attempt, DRIVER } from "./failure.ts";
import type { GroupDir } from "./group_dir.ts";
import { readMember, signatureOf } from "./member_file.ts";

/** A membership of this session: a file with its presence in it. */
export class FilePresence implements Presence {
  readonly id: string;
  readonly dir: GroupDir;
  readonly member: string;
  readonly file: string;
  readonly #lost = new AbortController();
  readonly #onEnd: (presence: FilePresence) => void;
  #signature: string | undefined;

  constructor(
    { id, dir, member, file }: { id: string; dir: GroupDir; member: string; file: string },
    onEnd: (presence: FilePresence) => void,
  ) {
    this.id = id;
    this.dir = dir;
    this.member = member;
    this.file = file;
    this.#onEnd = onEnd;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Looks whether it is still there; reads the file only when that has changed. */
  look(): void {
    attempt(`check the membership in group "${this.dir.id}"`, () => {
      const signature = signatureOf(this.file);
      if (signature !== undefined && signature === this.#signature) return;
      if (readMember(this.file)?.presence === this.id) this.#signature = signature;
      else this.#lose();
    });
  }

  /** It was given up by its owner, which is no loss. */
  end(): void {
    this.#onEnd(this);
  }

  #lose(): void {
    this.#onEnd(this);
    const state = "it was replaced or removed";
    this.#lost.abort(
      new MemberNotJoinedError(`Lost member "${this.member}" of group "${this.dir.id}": ${state}`, {
        driver: DRIVER,
      }),
    );
  }
}
