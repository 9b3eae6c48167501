/** The order of the alarm list, and which of it is shown. */
import type { Alarm } from "../../lib/types";

const RANK: Record<string, number> = { alarm: 2, warning: 1, info: 0 };
export type Filter = "standing" | "unacknowledged" | "shelved" | "all";

/** `first` is when it came; the severe come first, the newest of them before the older, the shelved last. */
export function ordered<T extends Alarm>(alarms: readonly T[]): T[] {
  return [...alarms].sort(
    (a, b) =>
      Number(a.shelved_until !== null) - Number(b.shelved_until !== null) ||
      (RANK[b.severity] ?? 3) - (RANK[a.severity] ?? 3) ||
      Date.parse(b.first) - Date.parse(a.first) ||
      key(a).localeCompare(key(b)),
  );
}

export const key = (alarm: { code: string; point: string | null }): string => `${alarm.code}/${alarm.point ?? ""}`;

export function chosen<T extends Alarm>(alarms: readonly T[], filter: Filter, search: string): T[] {
  const wanted = search.trim().toLowerCase();
  return ordered(alarms).filter((alarm) => {
    if (filter === "standing" && (!alarm.active || alarm.shelved_until !== null)) return false;
    if (filter === "unacknowledged" && (alarm.acknowledged || alarm.shelved_until !== null)) return false;
    if (filter === "shelved" && alarm.shelved_until === null) return false;
    const text = [alarm.code, alarm.point, alarm.message, alarm.title.en, alarm.title.es].join(" ").toLowerCase();
    return !wanted || text.includes(wanted);
  });
}

/** What is in the new list and was not in the old: what has to be announced. */
export function fresh<T extends Alarm>(before: readonly Alarm[], now: readonly T[]): T[] {
  const known = new Set(before.filter((alarm) => alarm.active).map(key));
  return ordered(now).filter((alarm) => alarm.active && alarm.shelved_until === null && !known.has(key(alarm)));
}
