/** The other process of handoff.ts. */
import { getCoordinator, type Lease, type Lock } from "../mod.ts";
import { serve } from "../tests/processes/serve.ts";
import { BACKENDS } from "./backends.ts";

/** Gives back what it holds as soon as it is granted the other lock, and gets in line again. */
async function alternate(held: Lease, locks: { a: Lock; b: Lock }): Promise<never> {
  for (let wanted = locks.a;;) {
    const granted = await wanted.acquire();
    void held.release();
    wanted = held.name === "a" ? locks.a : locks.b;
    held = granted;
  }
}

async function playLocks(url: string): Promise<void> {
  const coord = await getCoordinator(url, { memberId: "right" });
  const locks = { a: coord.lock("a"), b: coord.lock("b") };
  void alternate(await locks.b.acquire(), locks);
}

async function playBell(name: string, url: string): Promise<void> {
  const bell = await BACKENDS.find((backend) => backend.name === name)?.bell?.(url, "right");
  if (!bell) throw new TypeError(`Cannot ring: backend "${name}" has no bell`);
  const answer = async () => {
    for (;;) {
      await bell.heard();
      await bell.ring();
    }
  };
  void answer();
}

await serve({ methods: { playLocks, playBell } });
