/** Which stretch of time is shown: the last so many seconds, or from one moment to another. All times in ms. */
export interface Range {
  start: number;
  end: number;
}

/** Seconds of the ranges that have a button. */
export const RANGES = [600, 3600, 21_600, 86_400, 604_800, 2_592_000, 31_536_000] as const;
/** Longest range, in seconds, that follows the live stream. */
export const FOLLOWED = 6 * 3600;
const SHORTEST = 10_000;
const LONGEST = 20 * 366 * 86400_000;

/** Zooms about a moment; a factor below 1 zooms in. Never into the future. */
export function zoomed(range: Range, factor: number, about: number, now: number): Range {
  const span = Math.min(LONGEST, Math.max(SHORTEST, (range.end - range.start) * factor));
  const share = Math.min(1, Math.max(0, (about - range.start) / (range.end - range.start)));
  return notLater({ start: about - share * span, end: about + (1 - share) * span }, now);
}

/** Moves by a share of what is shown; positive is later. */
export function panned(range: Range, share: number, now: number): Range {
  const by = (range.end - range.start) * share;
  return notLater({ start: range.start + by, end: range.end + by }, now);
}

/** A range that was drawn with the pointer: in order, and not too short to hold a sample. */
export function drawn(a: number, b: number): Range {
  const start = Math.min(a, b);
  const end = Math.max(a, b);
  const missing = Math.max(0, SHORTEST - (end - start)) / 2;
  return { start: Math.round(start - missing), end: Math.round(end + missing) };
}

function notLater({ start, end }: Range, now: number): Range {
  const over = Math.max(0, end - now);
  return { start: Math.round(start - over), end: Math.round(end - over) };
}

export interface Asked {
  points: string[];
  /** Seconds until now; null: `range` says it. */
  last: number | null;
  range: Range | null;
}

/** Most points of one chart. */
export const MOST = 8;

/** What a shared link asks for. What is not understood counts as not said. */
export function fromQuery(query: URLSearchParams): Asked {
  const points = [...new Set((query.get("points") ?? "").split(",").map((name) => name.trim()).filter(Boolean))];
  const start = Date.parse(query.get("start") ?? "");
  const end = Date.parse(query.get("end") ?? "");
  const last = Number(query.get("last"));
  const range = Number.isFinite(start) && Number.isFinite(end) && start < end ? { start, end } : null;
  return {
    points: points.slice(0, MOST),
    last: range ? null : last >= SHORTEST / 1000 && last * 1000 <= LONGEST ? last : null,
    range,
  };
}

export function toQuery({ points, last, range }: Asked): Record<string, string> {
  return {
    ...(points.length ? { points: points.join(",") } : {}),
    ...(last !== null ? { last: String(last) } : {}),
    ...(last === null && range
      ? { start: new Date(range.start).toISOString(), end: new Date(range.end).toISOString() }
      : {}),
  };
}

/** For `datetime-local`, in the browser's own time zone, to the second. */
export function local(time: number): string {
  const date = new Date(time);
  return new Date(time - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
