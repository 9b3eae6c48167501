/** Columns of the history made ready to be drawn: one time axis, gaps kept, and where quality was lacking. */
import type { Series } from "../../lib/types";

/** A column of the chart: a number, null where there is a gap, undefined where only other points have a sample. */
export type Column = (number | null | undefined)[];

export interface Table {
  /** Seconds since 1970, as uPlot wants them. */
  times: number[];
  /** For each series its min, max and mean. */
  columns: { min: Column; max: Column; mean: Column }[];
}

/** ms from a sample until the next is missing: a gap begins there. */
export function patience(series: Series): number {
  if (series.step > 0) return series.step * 1500;
  const apart: number[] = [];
  for (let i = 1; i < series.times.length && i < 200; i++) apart.push(series.times[i]! - series.times[i - 1]!);
  if (!apart.length) return 5000;
  apart.sort((a, b) => a - b);
  return Math.max(2500, 3 * apart[apart.length >> 1]!);
}

/** ms that a sample stands for. */
export function width(series: Series): number {
  return series.step > 0 ? series.step * 1000 : Math.min(patience(series) / 2, 5000);
}

/** All series on one time axis. A line never crosses a time without data. */
export function table(all: readonly Series[]): Table {
  const gaps = all.map(gapsOf);
  const times = [...new Set(all.flatMap((series, k) => [...series.times, ...gaps[k]!.map((gap) => gap.start)]))].sort((a, b) => a - b);
  const place = new Map(times.map((time, i) => [time, i]));
  return {
    times: times.map((time) => time / 1000),
    columns: all.map((series, k) => {
      const min: Column = new Array<undefined>(times.length).fill(undefined);
      const max: Column = [...min];
      const mean: Column = [...min];
      // each time of a gap, or the drawing joins its ends where other points have samples in between
      for (const gap of gaps[k]!)
        for (let at = place.get(gap.start)!; times[at]! < gap.end; at++) min[at] = max[at] = mean[at] = null;
      series.times.forEach((time, i) => {
        const at = place.get(time)!;
        min[at] = series.min[i] ?? null;
        max[at] = series.max[i] ?? null;
        mean[at] = series.mean[i] ?? null;
      });
      return { min, max, mean };
    }),
  };
}

function gapsOf(series: Series): { start: number; end: number }[] {
  const most = patience(series);
  const found: { start: number; end: number }[] = [];
  for (let i = 1; i < series.times.length; i++)
    if (series.times[i]! - series.times[i - 1]! > most)
      found.push({ start: series.times[i - 1]! + Math.round(width(series)), end: series.times[i]! });
  return found;
}

/** A stretch of a series' lane: `good` below 1, or null where nothing was recorded. */
export interface Stretch {
  start: number;
  end: number;
  good: number | null;
}

/** Where a series was not wholly good, between two moments; neighbours of the same kind are joined. */
export function lacking(series: Series, start: number, end: number): Stretch[] {
  const found: Stretch[] = [];
  const most = patience(series);
  const wide = width(series);
  const add = (from: number, to: number, good: number | null): void => {
    from = Math.max(from, start);
    to = Math.min(to, end);
    if (to <= from) return;
    const before = found.at(-1);
    if (before && before.end >= from && (before.good === null) === (good === null) && same(before.good, good)) before.end = to;
    else found.push({ start: from, end: to, good });
  };
  let reached = start;
  series.times.forEach((time, i) => {
    if (time - reached > (i ? most - wide : wide)) add(reached, time, null);
    const next = series.times[i + 1];
    const until = next !== undefined && next - time <= most ? next : time + wide;
    const good = series.good[i] ?? null;
    if (!series.count[i] || good === null) add(time, until, null);
    else if (good < 1) add(time, until, good);
    reached = until;
  });
  if (end - reached > most) add(reached, end, null);
  return found;
}

const same = (a: number | null, b: number | null): boolean => a === b || (a !== null && b !== null && Math.abs(a - b) < 0.1);

/** Stretches in which no series has anything. */
export function dark(lanes: readonly Stretch[][]): { start: number; end: number }[] {
  let left = (lanes[0] ?? []).filter((one) => one.good === null).map(({ start, end }) => ({ start, end }));
  for (const lane of lanes.slice(1)) {
    const none = lane.filter((one) => one.good === null);
    left = left.flatMap((one) =>
      none
        .map((other) => ({ start: Math.max(one.start, other.start), end: Math.min(one.end, other.end) }))
        .filter((both) => both.end > both.start),
    );
  }
  return left;
}

export interface Summary {
  min: number | null;
  max: number | null;
  mean: number | null;
  last: number | null;
  /** Share of good samples; null without samples. */
  good: number | null;
}

/** What a series did between two moments. The mean weighs each bucket by its good samples. */
export function summary(series: Series, start = -Infinity, end = Infinity): Summary {
  const found: Summary = { min: null, max: null, mean: null, last: null, good: null };
  let samples = 0;
  let fine = 0;
  let sum = 0;
  series.times.forEach((time, i) => {
    if (time < start || time > end) return;
    const count = series.count[i]!;
    const good = (series.good[i] ?? 0) * count;
    samples += count;
    fine += good;
    const low = series.min[i];
    const high = series.max[i];
    const mean = series.mean[i];
    if (low !== null && low !== undefined) found.min = found.min === null ? low : Math.min(found.min, low);
    if (high !== null && high !== undefined) found.max = found.max === null ? high : Math.max(found.max, high);
    if (mean !== null && mean !== undefined) sum += mean * good;
    found.last = series.last[i] ?? found.last;
  });
  if (samples) found.good = fine / samples;
  if (fine) found.mean = sum / fine;
  return found;
}

/** The sample that a moment falls into; null: none. */
export function sampleAt(series: Series, time: number): number | null {
  let low = 0;
  let high = series.times.length - 1;
  let at = -1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (series.times[middle]! <= time) {
      at = middle;
      low = middle + 1;
    } else high = middle - 1;
  }
  if (at < 0) return null;
  const until = series.step > 0 ? series.step * 1000 : patience(series);
  return time - series.times[at]! <= until ? at : null;
}

/** The same series with one value of the live stream behind it, and without what is older than `start`. */
export function grown(series: Series, time: number, value: number | null, good: boolean, start: number): Series {
  if (series.times.length && time <= series.times.at(-1)!) return series;
  const first = series.times.findIndex((one) => one >= start);
  const from = first < 0 ? series.times.length : first;
  const shown = good ? value : null;
  const more = <T>(column: readonly T[], one: T): T[] => [...column.slice(from), one];
  return {
    ...series,
    times: more(series.times, time),
    min: more(series.min, shown),
    max: more(series.max, shown),
    mean: more(series.mean, shown),
    last: more(series.last, shown),
    count: more(series.count, 1),
    good: more<number | null>(series.good, shown === null ? 0 : 1),
  };
}

/** Things that lie close together on the screen, as one: `at` gives the pixel of each. Keeps the order. */
export function clusters<T>(things: readonly T[], at: (thing: T) => number, apart: number): { x: number; things: T[] }[] {
  const found: { x: number; things: T[] }[] = [];
  for (const thing of [...things].sort((a, b) => at(a) - at(b))) {
    const last = found.at(-1);
    if (last && at(thing) - last.x < apart) last.things.push(thing);
    else found.push({ x: at(thing), things: [thing] });
  }
  return found;
}
