import { MemberNotJoinedError } from "../../core/errors.ts";
import type { Presence } from "../../driver.ts";
import type { Context } from "./context.ts";
import { isCertain } from "./disk.ts";
import type { GroupDir } from "./group_dir.ts";
import { readMember } from "./member_file.ts";

/** A membership of this session: a file with its presence in it. */
export class FilePresence implements Presence {
  readonly id: string;
  readonly dir: GroupDir;
  readonly member: string;
  readonly file: string;
  readonly #context: Context;
  readonly #lost = new AbortController();
  readonly #onEnd: (presence: FilePresence) => void;
  #stamp: string | undefined;

  constructor(
    { context, id, dir, member, file }: {
      context: Context;
      id: string;
      dir: GroupDir;
      member: string;
      file: string;
    },
    onEnd: (presence: FilePresence) => void,
  ) {
    this.#context = context;
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
    const { disk, failures, clock } = this.#context;
    failures.attempt(`check the membership in group "${this.dir.id}"`, () => {
      const stamp = disk.stampOf(this.file);
      if (stamp !== undefined && stamp.text === this.#stamp) return;
      const certain = stamp && isCertain(stamp, clock.wall()) ? stamp.text : undefined;
      if (readMember(disk, this.file)?.presence === this.id) this.#stamp = certain;
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
        driver: this.#context.failures.driver,
      }),
    );
  }
}
