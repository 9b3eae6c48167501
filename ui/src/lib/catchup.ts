/** Events that the stream told of, and those that it could not: the journal has them all. */
import { get } from "./api";
import type { LiveEvent } from "./types";

/** Events that are kept. */
export const EVENTS = 200;
/** ms after which the journal has on the disk what happened before. */
const WRITTEN = 5000;

/** Both lists as one, newest first, each event once. `known` itself when nothing is new. */
export function merged(known: readonly LiveEvent[], more: readonly LiveEvent[], most = EVENTS): readonly LiveEvent[] {
  const seen = new Set(known.map(key));
  const fresh = more.filter((event) => !seen.has(key(event)) && seen.add(key(event)));
  return fresh.length ? [...fresh.reverse(), ...known].sort((a, b) => b.time - a.time).slice(0, most) : known;
}

const key = (event: LiveEvent): string => [event.time, event.code, event.point, event.active, event.message].join("\n");

/** Whether a frame follows the one before it without a gap. `greets`: it is the first of a connection, without events. */
export function follows(before: number | null, cycle: number, greets: boolean): boolean {
  return before === null || cycle === before || (cycle === before + 1 && !greets);
}

/**
 * Asks the journal for the events of a gap.
 *
 * Args: `take` gets them; `ask` fetches those from a moment on.
 */
export class CatchUp {
  private start: number | null = null;
  private noted = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private asking = false;

  constructor(
    private readonly take: (events: readonly LiveEvent[]) => void,
    private readonly ask: (start: number) => Promise<readonly LiveEvent[]> = fetched,
  ) {}

  /** What happened since `time` (UTC ms) is not known. */
  gap(time: number): void {
    this.start = Math.min(this.start ?? time, time);
    this.noted = performance.now();
    if (!this.asking) void this.go();
  }

  /** Nobody looks any more. */
  stop(): void {
    this.start = null;
    if (this.timer) clearTimeout(this.timer);
  }

  private async go(): Promise<void> {
    if (this.start === null) return;
    if (this.timer) clearTimeout(this.timer);
    this.asking = true;
    const begun = performance.now();
    try {
      const events = await this.ask(this.start);
      if (this.start === null) return;
      this.take(events);
      if (begun - this.noted >= WRITTEN) this.start = null;
    } catch {
      // asked again below
    } finally {
      this.asking = false;
    }
    if (this.start !== null) this.timer = setTimeout(() => void this.go(), WRITTEN);
  }
}

async function fetched(start: number): Promise<readonly LiveEvent[]> {
  const answer = await get<{ events: (Omit<LiveEvent, "time"> & { time: string })[] }>(
    `/events?limit=${EVENTS}&start=${encodeURIComponent(new Date(start).toISOString())}`,
  );
  return answer.events.map((event) => ({ ...event, time: Date.parse(event.time) }));
}
