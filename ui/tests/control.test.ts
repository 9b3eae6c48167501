import { expect, test } from "vitest";

import { height, keep, read, sum, typed, type Sample, type Wanted } from "../src/pages/control/form";

const form: Wanted = {
  mode: "power", direction: "discharge", power: "5", soc: "", low: "", high: "", minutes: "15", reason: "peak",
};

test("charging is negative, whatever language the decimal point has", () => {
  expect(read({ ...form, direction: "charge", power: "2,5" }).body).toEqual({ power: -2.5, for: 900, reason: "peak" });
  expect(read({ ...form, power: "2.5" }).body?.power).toBe(2.5);
  expect(Object.is(read({ ...form, direction: "charge", power: "0" }).body?.power, 0)).toBe(true);
});

test("every wrong field is named, and nothing wrong makes a request", () => {
  const cases: [Partial<Wanted>, object][] = [
    [{ power: "" }, { power: "missing" }],
    [{ power: "1e9x" }, { power: "number" }],
    [{ power: "-3" }, { power: "negative" }],
    [{ mode: "soc", soc: "101" }, { soc_target: "percent" }],
    [{ mode: "soc", soc: "" }, { soc_target: "missing" }],
    [{ low: "3", high: "-3" }, { high: "crossed" }],
    [{ minutes: "61" }, { for: "lease" }],
    [{ minutes: "0" }, { for: "lease" }],
    [{ minutes: "x" }, { for: "lease" }],
  ];
  for (const [change, wrong] of cases) expect(read({ ...form, ...change })).toEqual({ body: null, wrong });
});

test("a missing reason is told but does not hide the preview", () => {
  const found = read({ ...form, reason: " a " });
  expect(found.wrong).toEqual({ reason: "short" });
  expect(found.body?.power).toBe(5);
});

test("a target goes with its highest power, without a sign", () => {
  const body = read({ ...form, mode: "soc", direction: "charge", soc: "80", power: "4" }).body;
  expect(body).toEqual({ soc_target: 80, power: 4, for: 900, reason: "peak" });
});

test("what is typed: a number, nothing, or no number", () => {
  expect([typed("−1,5"), typed(" "), typed("."), typed("Infinity"), typed("1.2.3")]).toEqual([-1.5, null, NaN, NaN, NaN]);
});

test("samples are of the last span and none twice", () => {
  const sample = (time: number): Sample => ({ time, asked: null, decided: null, measured: null });
  let kept = [sample(1)];
  for (const time of [50, 100, 100, 120]) kept = keep(kept, sample(time), 100);
  expect(kept.map((one) => one.time)).toEqual([50, 100, 120]);
});

test("a sum of which a part is not known is not known", () => {
  expect([sum([1, -3]), sum([1, null]), sum([])]).toEqual([-2, null, null]);
});

test("a wish far beyond what is decided does not flatten the picture", () => {
  const sample: Sample = { time: 0, asked: 500, decided: 10, measured: -12 };
  expect(height([sample])).toBe(24);
  expect(height([{ ...sample, asked: 15 }])).toBe(15);
  expect(height([{ ...sample, decided: 0, measured: null }])).toBe(500);
  expect(height([])).toBe(1);
});
