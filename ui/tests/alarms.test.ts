import { expect, test } from "vitest";

import type { Alarm } from "../src/lib/types";
import { chosen, fresh, ordered } from "../src/pages/alarms/order";

const both = { en: "Cell too warm", es: "Celda demasiado caliente" };
const alarm = (code: string, severity: string, first: string, more: Partial<Alarm> = {}): Alarm => ({
  code, severity, first: `2026-11-29T0${first}:00:00Z`, last: "", point: null, active: true, acknowledged: false,
  shelved_until: null, count: 1, message: "", title: both, cause: both, action: both, value: null, ...more,
});
const list = [
  alarm("old", "warning", "1"), alarm("shelved", "alarm", "5", { shelved_until: "2026-11-29T09:00:00Z" }),
  alarm("bad", "alarm", "1"), alarm("new", "warning", "3", { acknowledged: true }), alarm("over", "alarm", "4", { active: false }),
];
const codes = (alarms: Alarm[]): string[] => alarms.map((one) => one.code);

test("severe first, then the newest; what is shelved last", () => {
  expect(codes(ordered(list))).toEqual(["over", "bad", "new", "old", "shelved"]);
  expect(codes(list)[0]).toBe("old"); // not sorted in place
});

test("filters and the search, in both languages", () => {
  expect(codes(chosen(list, "standing", ""))).toEqual(["bad", "new", "old"]);
  expect(codes(chosen(list, "unacknowledged", ""))).toEqual(["over", "bad", "old"]);
  expect(codes(chosen(list, "shelved", ""))).toEqual(["shelved"]);
  expect(codes(chosen(list, "all", " OLD "))).toEqual(["old"]);
  expect(chosen(list, "all", "celda")).toHaveLength(5);
});

test("only what begins is announced: also at another point, or again after it was over", () => {
  expect(fresh(list, list)).toEqual([]);
  expect(codes(fresh(list, [...list, alarm("old", "warning", "6", { point: "rack_2" })]))).toEqual(["old"]);
  expect(codes(fresh(list, [alarm("over", "alarm", "6")]))).toEqual(["over"]);
  expect(fresh([], [alarm("x", "alarm", "6", { shelved_until: "2026-11-29T09:00:00Z" })])).toEqual([]);
});
