import { expect, test } from "vitest";

import { beyond, change, changes, funnel, reach, rows, stepped, x, type Step } from "../src/pages/why/funnel";

const text = { en: "a", es: "b" };
const step = (kind: Step["kind"], name: string, low: number | null, high: number | null, more: Partial<Step> = {}): Step =>
  ({ kind, name, low, high, power: null, text, ...more });
const steps = [
  step("bounds", "reported", null, null),
  step("limit", "soc_max", null, null),
  step("bounds", "guard", -4, 10),
  step("request", "grid operator", -4, 3, { role: "narrowed", asks: [null, 3] }),
  step("request", "schedule", -4, 3, { role: "won", power: 7 }),
  step("result", "setpoint", -4, 3, { power: 3 }),
];

test("each row begins with the range that the row before left", () => {
  const found = rows(steps);
  for (let i = 1; i < found.length; i++) expect(found[i]!.before).toEqual(found[i - 1]!.left);
  expect(found.map((row) => row.narrows)).toEqual([false, false, true, true, false, false]);
});

test("a limit of which nothing is recorded takes nothing away and says so", () => {
  const found = rows([step("bounds", "guard", -4, 10), step("limit", "ramp", null, null)]);
  expect(found[1]).toMatchObject({ told: false, narrows: false, left: [-4, 10] });
});

test("the axis holds every number, is round and never empty", () => {
  expect(reach(steps)).toBe(10);
  expect(reach(steps, [-10.2])).toBe(12);
  expect(reach([], [null, undefined])).toBe(1);
  for (const value of [0.3, 7, 99, 1234]) expect(reach([], [-value])).toBeGreaterThanOrEqual(value);
});

test("zero is in the middle, discharge right; what is open lies at the very edge", () => {
  const axis = { reach: 10, width: 400, pad: 20 };
  expect(x(axis, 0)).toBe(200);
  expect(x(axis, 5)).toBe(290);
  expect([x(axis, -10), x(axis, 10), x(axis, 99)]).toEqual([20, 380, 380]);
  expect([x(axis, null, -1), x(axis, null, 1)]).toEqual([0, 400]);
  expect(funnel(axis, rows(steps)[2]!, 60, 5, 20)).toBe("M0 0H400V5L380 20V60H128V20L0 5Z");
});

test("changes are found in both directions, also a change of who decides", () => {
  const course = {
    times: [1, 2, 3, 4, 5], setpoint: [0, 0, 2, 2, 2], asked: [], low: [], high: [],
    state: ["a", "a", "a", "a", "a"], source: ["x", "x", "x", "y", "y"], step: 1,
  };
  const found = changes(course);
  expect(found).toEqual([3, 4]);
  expect([change(found, 4, -1), change(found, 3, 1), change(found, 3, -1), change(found, 4, 1)]).toEqual([3, 4, null, null]);
});

test("a line has a gap where nothing is known, and none at zero", () => {
  expect(stepped([0, 1, 2, 3], [1, null, 0, 0], (t) => t, (v) => v)).toBe("M0.0 1.0M2.0 0.0H3.0V0.0");
});

test("a wish far beyond all limits does not hide them", () => {
  const plant: Step = { kind: "bounds", name: "guard", low: -10, high: 10, power: null, text: { en: "", es: "" } };
  const wish: Step = { ...plant, kind: "request", low: null, high: null, power: 500 };
  const far = reach([plant, wish]);
  expect(far).toBe(20);
  const axis = { reach: far, width: 400, pad: 20 };
  expect([beyond(axis, 500), beyond(axis, -20.1), beyond(axis, 20)]).toEqual([true, true, false]);
  expect(reach([plant, { ...wish, power: 15 }])).toBe(15);
  expect(reach([{ ...wish, low: 0, high: 0 }])).toBe(500); // nothing else to compare it with
});
