import { expect, test } from "vitest";

import { urgent, worst } from "../src/lib/alarms.svelte";
import { late, notices, type Seen } from "../src/lib/banner";
import { left, readable } from "../src/lib/countdown";
import { locale } from "../src/lib/i18n.svelte";
import { rules } from "../src/lib/passwords";
import type { Alarm, Decision } from "../src/lib/types";
import { utcOffset } from "../src/lib/zone";
import { at, scale } from "../src/pages/overview/bar";
import { directionOf, layout, type Known } from "../src/pages/overview/flow";
import { nowAndNext } from "../src/pages/overview/plan";
import type { Entry, Part } from "../src/pages/overview/types";
import { sentence, signed } from "../src/pages/overview/why";

const calm: Seen = { state: "open", frameAge: 0.4, period: 1, problem: null, trips: [], maintenance: null };
const kinds = (more: Partial<Seen>): string[] => notices({ ...calm, ...more }).map((notice) => notice.kind);

test("the banner says what stands between a value and belief", () => {
  expect(kinds({})).toEqual([]);
  expect(kinds({ state: "connecting", frameAge: null })).toEqual([]);
  expect(kinds({ state: "broken", frameAge: 12 })).toEqual(["broken"]);
  expect(kinds({ state: "lost", frameAge: 12 })).toEqual(["lost"]);
  expect(kinds({ frameAge: 2.6 })).toEqual(["stalled"]); // signs of life, but no cycle
  expect(kinds({ frameAge: 2.6, period: 5 })).toEqual([]);
  expect(late(1)).toBeLessThan(3);
  const trip = { code: "cell_voltage_max" };
  expect(kinds({ state: "broken", trips: [trip], maintenance: { user: "ana", reason: "fan" } })).toEqual(["broken", "trip", "maintenance"]);
});

const known = (value: number | null, exists = true): Known => ({ value, stale: false, exists, balance: false });
const plant = (more: Partial<Record<Part, Known>>): Record<Part, Known> => ({
  pv: known(null, false), battery: known(-2), inverter: known(-2.1), grid: known(-3), load: known(0.9), ...more,
});

test("what the plant has not is not drawn; what is not known has no direction", () => {
  const small = layout(plant({ grid: known(null, false), load: known(null, false) }), null);
  expect(small.nodes.map((node) => node.part)).toEqual(["battery", "inverter"]);
  expect(small.wires.map((wire) => wire.part)).toEqual(["battery"]); // no wire into nothing
  const all = layout(plant({ pv: known(5), grid: known(null) }), 10);
  expect(Object.fromEntries(all.wires.map((wire) => [wire.part, wire.direction]))).toEqual({
    pv: "forward", battery: "back", inverter: "back", grid: "unknown", load: "forward",
  });
  expect(all.wires.find((wire) => wire.part === "grid")!.known).toBe(false);
  expect(Math.max(...all.wires.map((wire) => wire.share))).toBe(1);
  expect(small.height).toBeLessThan(all.height);
  const places = all.nodes.map((node) => `${node.x} ${node.y}`);
  expect(new Set(places).size).toBe(5);
});

test("noise about zero is no flow", () => {
  expect(directionOf(0.01, 0.02)).toBe("none");
  expect(directionOf(-0.05, 0.02)).toBe("back");
  expect(layout(plant({ battery: known(0.02) }), 100).nodes[0]!.direction).toBe("none");
});

test("every mark stands on the scale, and zero too", () => {
  const axis = scale([-4, 10], [-8, null, 3], null);
  for (const value of [-8, -4, 0, 3, 10]) {
    const place = at(value, axis)!;
    expect(place).toBeGreaterThan(0);
    expect(place).toBeLessThan(100);
  }
  expect(at(null, axis)).toBeNull();
  expect(at(NaN, axis)).toBeNull();
  expect(at(0, scale([null, null], [], null))).toBe(50);
});

const entry = (start: string, end: string): Entry => ({ start, end, power: 1, soc_target: null, reason: "" });

test("the entry in force ends where the next begins", () => {
  const [a, b, c] = [entry("2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z"), entry("2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z"), entry("2026-01-01T15:00:00Z", "2026-01-01T16:00:00Z")];
  expect(nowAndNext([c, a, b], Date.parse("2026-01-01T10:59:59Z"))).toEqual({ now: a, next: b });
  expect(nowAndNext([a, b, c], Date.parse("2026-01-01T11:00:00Z"))).toEqual({ now: b, next: c });
  expect(nowAndNext([a, b, c], Date.parse("2026-01-01T13:00:00Z"))).toEqual({ now: null, next: c });
  expect(nowAndNext([], 0)).toEqual({ now: null, next: null });
});

const alarm = (code: string, severity: string, more: Partial<Alarm> = {}): Alarm =>
  ({ code, severity, active: true, acknowledged: false, shelved_until: null, first: "2026-01-01T00:00:00Z", ...more }) as Alarm;

test("what is active and severe comes first; what is shelved, or over and known, does not come", () => {
  const list = [
    alarm("info", "info"), alarm("over", "alarm", { active: false }), alarm("shelved", "alarm", { shelved_until: "2027-01-01T00:00:00Z" }),
    alarm("known", "warning", { acknowledged: true }), alarm("new", "warning"), alarm("worst", "alarm"), alarm("done", "alarm", { active: false, acknowledged: true }),
  ];
  expect(urgent(list).map((one) => one.code)).toEqual(["worst", "new", "known", "info", "over"]);
  expect(worst(list)).toBe("alarm");
  expect(worst([])).toBeNull();
});

test("one sentence says what the battery does and for whom", () => {
  locale.choose("en");
  const decision: Decision = { state: "normal", setpoint: -4.2, asked: -8, source: "schedule", reason: "peak" };
  expect(sentence(decision)).toBe("Charging with 4.2 kW: the schedule asked for −8.0 kW (peak); it gets −4.2 kW.");
  expect(sentence({ ...decision, asked: -4.2 })).toBe("Charging with 4.2 kW: the schedule asked for −4.2 kW (peak).");
  expect(sentence({ state: "normal", setpoint: 0, source: null })).toBe("Commanded to zero power: nobody asks for power.");
  expect(sentence({ state: "monitor", setpoint: null, source: null })).toContain("No setpoint");
  expect(sentence(null)).toBe("Not known yet");
  expect([signed(2.5), signed(-2.5), signed(0.01), signed(null)]).toEqual(["+2.5 kW", "−2.5 kW", "0.0 kW", "–"]);
});

test("a new password is long, not one's name, and the same twice", () => {
  expect(rules("correct horse battery", "correct horse battery", "ana", 12)).toEqual({ length: true, own: true, same: true });
  expect(rules("short", "short", "ana", 12).length).toBe(false);
  expect(rules("123456 789012", "x", "ana", 12)).toEqual({ length: true, own: false, same: false });
  expect(rules("AnaanaanaAna", "", "ana", 12).own).toBe(false);
  expect(rules("", "", "", 12).same).toBe(false);
  expect(rules("nandunandue\u0301", "", "", 12).length).toBe(false); // a letter and its accent count once they are one
});

test("moments, zones, and lines that others can read", () => {
  expect([left(30_500, 0), left(500, 0), left(0, 10)]).toEqual([31, 1, 0]);
  expect([utcOffset(180), utcOffset(0), utcOffset(-345)]).toEqual(["UTC−03:00", "UTC+00:00", "UTC+05:45"]);
  expect(readable("http:", "10.0.0.5")).toBe(true);
  expect(readable("https:", "10.0.0.5")).toBe(false);
  for (const own of ["localhost", "127.0.0.1", "[::1]"]) expect(readable("http:", own)).toBe(false);
});
