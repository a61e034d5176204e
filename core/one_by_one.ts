/** Makes the calls of `fn` one after the other, also those that do not wait for the one before. */
export function oneByOne<T>(fn: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return () => {
    const result = last.then(fn);
    last = result.catch(() => {}); // Who made that call hears of it.
    return result;
  };
}
