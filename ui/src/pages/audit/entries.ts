/** What is shown of the audit log's entries that were loaded. */
export interface Entry {
  sequence: number;
  time: string;
  user: string;
  role: string;
  address: string;
  action: string;
  target: string;
  reason: string;
  outcome: string;
  detail: Record<string, unknown>;
  hash: string;
}

export interface Page {
  entries: Entry[];
  verified: boolean;
  next: number | null;
}

/** Adds a page (newest first) to what is there; an entry that came twice stays once. */
export function joined(have: readonly Entry[], more: readonly Entry[]): Entry[] {
  const known = new Map([...have, ...more].map((entry) => [entry.sequence, entry]));
  return [...known.values()].sort((a, b) => b.sequence - a.sequence);
}

/** `from` and `to` are ms since 1970; null is no bound. `to` itself is outside. */
export function within(entries: readonly Entry[], from: number | null, to: number | null): Entry[] {
  return entries.filter((entry) => {
    const time = Date.parse(entry.time);
    return (from === null || time >= from) && (to === null || time < to);
  });
}

/** All that is older than `from` was loaded: more pages can hold nothing that is looked for. */
export function exhausted(entries: readonly Entry[], from: number | null): boolean {
  const oldest = entries.at(-1);
  return from !== null && oldest !== undefined && Date.parse(oldest.time) < from;
}

/** The day of a date field (`2026-11-29`) in the browser's time zone; `days` later. */
export function day(text: string, days = 0): number | null {
  const found = /^(\d{4,})-(\d\d)-(\d\d)$/.exec(text);
  if (!found) return null;
  const [, year, month, date] = found;
  const time = new Date(Number(year), Number(month) - 1, Number(date) + days).getTime();
  return Number.isNaN(time) ? null : time;
}

export function query(filter: { user: string; action: string }, before: number | null, limit: number): string {
  const asked = new URLSearchParams({ limit: String(limit) });
  if (before !== null) asked.set("before", String(before));
  if (filter.user.trim()) asked.set("user", filter.user.trim());
  if (filter.action.trim()) asked.set("action", filter.action.trim());
  return `/audit?${asked.toString()}`;
}

/** One line of what an entry says beside its reason; nothing of an empty one. */
export function told(detail: Record<string, unknown>): string {
  return Object.entries(detail)
    .filter(([, value]) => value !== null && value !== "")
    .map(([key, value]) => `${key.replaceAll("_", " ")}: ${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(" · ");
}
