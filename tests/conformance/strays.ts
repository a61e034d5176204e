import process from "node:process";

/** Collects rejections that nobody handles, which would else end the process in the middle of other cases. */
export function listenForStrays(): readonly unknown[] {
  const strays: unknown[] = [];
  if ("Deno" in globalThis) {
    globalThis.addEventListener("unhandledrejection", (event) => {
      event.preventDefault();
      event.stopImmediatePropagation(); // The test runner would blame the test that happens to run.
      strays.push((event as Event & { readonly reason: unknown }).reason);
    });
  } else {
    process.on("unhandledRejection", (reason) => strays.push(reason));
  }
  return strays;
}
