/** The entry in force at a moment, and the one that begins next. */
import type { Entry } from "./types";

export function nowAndNext(entries: readonly Entry[], now: number): { now: Entry | null; next: Entry | null } {
  let next: Entry | null = null;
  let current: Entry | null = null;
  for (const entry of entries) {
    const start = Date.parse(entry.start);
    if (start <= now && now < Date.parse(entry.end)) current = entry;
    else if (start > now && (next === null || start < Date.parse(next.start))) next = entry;
  }
  return { now: current, next };
}
