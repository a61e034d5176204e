import type { Clock } from "../../driver.ts";
import type { Disk } from "../../internal/files/disk.ts";
import type { Layout } from "../../internal/files/layout.ts";
import type { Platform } from "../../internal/platform/flock.ts";
import type { Libc } from "../../internal/platform/libc_calls.ts";

/** Where named semaphores stand on Linux, and all else of this driver beside them. */
export const SHM = "/dev/shm";

/** What the names of this driver begin with. */
export const PREFIX = "tooz-coord-";

/** The means of this driver. */
export interface Tools {
  readonly libc: Libc;
  readonly platform: Platform;
  readonly disk: Disk;
  readonly clock: Clock;
  /** Ms since 1970, to the microsecond. */
  readonly fineTime: () => number;
}

/** Where everything of one namespace stands. */
export interface IpcLayout extends Layout {
  /** Where sessions say what they watch. */
  readonly watches: string;
}
