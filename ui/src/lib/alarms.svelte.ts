/** The alarm list, fetched each 5 s and whenever an event comes, once for everybody who shows it. */
import { get } from "./api";
import { live } from "./live.svelte";
import type { Alarm } from "./types";

const EACH = 5000;
const RANK: Record<string, number> = { alarm: 3, warning: 2, info: 1 };

/** Those that ask for attention, most severe first, what nobody took note of before the rest, newest first. */
export function urgent(alarms: readonly Alarm[]): Alarm[] {
  return alarms
    .filter((alarm) => !alarm.shelved_until && (alarm.active || !alarm.acknowledged))
    .sort(
      (a, b) =>
        Number(b.active) - Number(a.active) ||
        (RANK[b.severity] ?? 0) - (RANK[a.severity] ?? 0) ||
        Number(a.acknowledged) - Number(b.acknowledged) ||
        b.first.localeCompare(a.first),
    );
}

/** The worst severity of a list; null: it is empty. */
export function worst(alarms: readonly Alarm[]): string | null {
  let found: string | null = null;
  for (const { severity } of alarms) if (found === null || (RANK[severity] ?? 0) > (RANK[found] ?? 0)) found = severity;
  return found;
}

class Alarms {
  /** null until the list came once. */
  list = $state.raw<Alarm[] | null>(null);
  failed = $state(false);
  urgent = $derived(urgent(this.list ?? []));
  active = $derived(this.urgent.filter((alarm) => alarm.active));
  private users = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private asking = false;
  private again = false;

  /** Follow the list; call what is returned when it is not needed any more. To be called in an effect. */
  follow(): () => void {
    if (++this.users === 1) void this.refresh();
    return () => {
      if (--this.users === 0 && this.timer) clearTimeout(this.timer);
    };
  }

  /** Ask at once: after an event, or something that somebody did. */
  async refresh(): Promise<void> {
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    if (this.timer) clearTimeout(this.timer);
    try {
      this.list = (await get<{ alarms: Alarm[] }>("/alarms")).alarms;
      this.failed = false;
    } catch {
      this.failed = true;
    }
    this.asking = false;
    if (this.users === 0) return;
    if (this.again) {
      this.again = false;
      void this.refresh();
    } else this.timer = setTimeout(() => void this.refresh(), EACH);
  }
}

export const alarms = new Alarms();

/** An effect's content: asks for the list when an event comes. */
export function onEvent(): void {
  if (live.events.length) void alarms.refresh();
}
