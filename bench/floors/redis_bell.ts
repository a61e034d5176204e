/** The least that a hand-over on Redis between two processes can be: publish to message, then one round trip. */
import { Redis } from "ioredis";
import type { Bell } from "../backends.ts";

export async function bell(url: string, side: "left" | "right"): Promise<Bell> {
  const [speaker, listener] = [new Redis(url), new Redis(url)];
  let rung = Promise.withResolvers<void>();
  listener.on("message", () => rung.resolve());
  await listener.subscribe(`floor:${side}`);
  const other = side === "left" ? "right" : "left";
  return {
    ring: () => speaker.publish(`floor:${other}`, ""),
    async heard() {
      await rung.promise;
      rung = Promise.withResolvers();
      await speaker.get("floor:lock");
    },
    close: () => Promise.all([speaker.quit(), listener.quit()]),
  };
}
