/** Cycles by how late they began, as bars. */
export interface Bar {
  /** Seconds; null: there is no end below, or above. */
  from: number | null;
  to: number | null;
  count: number;
  /** Share of the highest bar, 0 to 1. */
  height: number;
}

/** One bar a class; the empty ones at the end are left out, but at least `least` stay. */
export function bars(edges: readonly number[], counts: readonly number[], least = 6): Bar[] {
  const most = Math.max(1, ...counts);
  let last = counts.length - 1;
  while (last >= least && counts[last] === 0) last--;
  return counts.slice(0, last + 1).map((count, i) => ({
    from: edges[i - 1] ?? null,
    to: edges[i] ?? null,
    count,
    height: count / most,
  }));
}
