import { expect, test } from "vitest";

import type { Series } from "../src/lib/types";
import { dark, grown, lacking, sampleAt, summary, table } from "../src/pages/trends/course";
import { drawn, fromQuery, panned, toQuery, zoomed } from "../src/pages/trends/range";

function course(point: string, step: number, rows: [time: number, value: number | null, good?: number][]): Series {
  const values = rows.map(([, value]) => value);
  return {
    point, unit: "kW", resolution: "raw", step, times: rows.map(([time]) => time), min: values, max: values, mean: values, last: values,
    count: rows.map(() => 10), good: rows.map(([, value, good]) => (value === null ? 0 : (good ?? 1))), pending: 0,
  };
}

test("a line never crosses a gap, also where another point has samples in it", () => {
  const broken = course("a", 1, [[0, 1], [1000, 2], [9000, 3]]);
  const whole = course("b", 1, [...Array(10).keys()].map((i): [number, number] => [i * 1000, i]));
  const { times, columns } = table([broken, whole]);
  const inside = columns[0]!.mean.filter((_one, i) => times[i]! > 1 && times[i]! < 9);
  expect(inside.length).toBeGreaterThan(5);
  expect(inside.every((one) => one === null)).toBe(true);
  expect(columns[1]!.mean.filter((one) => one === null)).toEqual([]);
});

test("samples of another point's times make no gap", () => {
  const { columns } = table([course("a", 10, [[0, 1], [10_000, 2]]), course("b", 5, [[0, 1], [5000, 2], [10_000, 3]])]);
  expect(columns[0]!.mean).toEqual([1, undefined, 2]);
});

test("what was not good and what was not recorded are told apart", () => {
  const one = course("a", 1, [[0, 1], [1000, 1, 0.5], [2000, 1], [8000, null]]);
  expect(lacking(one, 0, 9000)).toEqual([
    { start: 1000, end: 2000, good: 0.5 }, { start: 3000, end: 8000, good: null }, { start: 8000, end: 9000, good: 0 },
  ]);
  expect(dark([lacking(one, 0, 9000), [{ start: 4000, end: 20_000, good: null }]])).toEqual([{ start: 4000, end: 8000 }]);
  expect(lacking(course("b", 1, []), 0, 5000)).toEqual([{ start: 0, end: 5000, good: null }]);
});

test("the mean weighs buckets by their good samples; nothing known is null", () => {
  const one = course("a", 1, [[0, 1, 0.1], [1000, 3, 0.9], [2000, null]]);
  expect(summary(one)).toMatchObject({ min: 1, max: 3, mean: 2.8, last: 3 });
  expect(summary(course("b", 1, []))).toEqual({ min: null, max: null, mean: null, last: null, good: null });
  expect([sampleAt(one, 1500), sampleAt(one, -1), sampleAt(one, 9000)]).toEqual([1, null, null]);
});

test("a live value that is not good is a gap, and what is too old goes", () => {
  const more = grown(course("a", 1, [[0, 1], [1000, 2]]), 2000, 7, false, 500);
  expect(more.times).toEqual([1000, 2000]);
  expect(more.mean).toEqual([2, null]);
  expect(grown(more, 2000, 8, true, 0)).toBe(more);
});

test("zoom keeps the moment under the cursor, and nothing shows the future", () => {
  expect(zoomed({ start: 0, end: 100_000 }, 0.5, 20_000, 1e9)).toEqual({ start: 10_000, end: 60_000 });
  expect(panned({ start: 0, end: 100_000 }, 0.5, 120_000)).toEqual({ start: 20_000, end: 120_000 });
  const short = drawn(5000, 4000);
  expect(short.end - short.start).toBe(10_000);
});

test("a link brings the same picture back", () => {
  const asked = { points: ["soc", "a.b"], last: null, range: { start: 1_000_000, end: 2_000_000 } };
  expect(fromQuery(new URLSearchParams(toQuery(asked)))).toEqual(asked);
  expect(fromQuery(new URLSearchParams("points=a,a,,b&start=x&end=y&last=-3"))).toEqual({ points: ["a", "b"], last: null, range: null });
});
