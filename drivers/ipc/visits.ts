/** How many sessions of this process are in a namespace, or on their way into it. */
const visits = new Map<string, number>();

/**
 * Enters a namespace: from now on no session of this process that leaves it takes it for empty. So a coordinator that
 * has lost its session finds its groups again: the next session is on its way in before the last one leaves.
 * @returns what leaves; that answers whether nobody of this process is left
 */
export function visit(namespace: string): () => boolean {
  visits.set(namespace, (visits.get(namespace) ?? 0) + 1);
  return () => {
    const others = (visits.get(namespace) ?? 0) - 1;
    if (others > 0) visits.set(namespace, others);
    else visits.delete(namespace);
    return others <= 0;
  };
}
