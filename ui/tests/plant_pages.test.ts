import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { exhausted, day, joined, query, told, within, type Entry } from "../src/pages/audit/entries";
import { found, ordered, paged, pressed, short, type PointRow } from "../src/pages/devices/points";
import { byCount, serial, total } from "../src/pages/devices/talk";
import { health, inPath } from "../src/pages/devices/types";
import { exceptionWord } from "../src/pages/devices/words.svelte";
import { at, cut, deadBand, decimals, frame, scales, ticks, voltageCurve, VOLT_VAR, WATT_VAR, type Corner } from "../src/pages/grid/curve";
import { ambiguous, grouped, read, typedNumber, type Parameter } from "../src/pages/grid/parameters";
import { ranked, type Tested } from "../src/pages/grid/tests";
import { bars } from "../src/pages/system/histogram";
import { ceiling, chosen, followed, line, scaled } from "../src/pages/system/course";
import { nameFits } from "../src/lib/passwords";
import { last, left, state, useful, type User } from "../src/pages/users/rules";

const row = (name: string, value: number | null, more: Partial<PointRow> = {}): PointRow => ({
  name, value, unit: "V", quality: "good", age: 1, meaning: null, ...more,
});

test("points are found by every word, without accents, in name, unit, quality and meaning", () => {
  const rows = [row("rack_1.cell_voltage_2", 3.3), row("status", 2, { unit: null, meaning: ["running", "Tensión alta"] }), row("soc", null, { quality: "stale" })];
  expect(found(rows, "cell voltage", false).map((one) => one.name)).toEqual(["rack_1.cell_voltage_2"]);
  expect(found(rows, "TENSION alta", false).map((one) => one.name)).toEqual(["status"]);
  expect(found(rows, "cell alta", false)).toEqual([]);
  expect(found(rows, "", true).map((one) => one.name)).toEqual(["soc"]);
});

test("points are sorted by number, and what is not known stands last both ways", () => {
  const rows = [row("cell_10", 5), row("cell_2", null), row("cell_1", -1), row("cell_3", 5)];
  const names = (by: "name" | "value", down: boolean): string[] => ordered(rows, { by, down }).map((one) => one.name);
  expect(names("name", false)).toEqual(["cell_1", "cell_2", "cell_3", "cell_10"]);
  expect(names("value", false)).toEqual(["cell_1", "cell_3", "cell_10", "cell_2"]);
  expect(names("value", true)).toEqual(["cell_3", "cell_10", "cell_1", "cell_2"]);
  expect(rows[0]!.name).toBe("cell_10");
  expect(pressed({ by: "name", down: false }, "name")).toEqual({ by: "name", down: true });
  expect(pressed({ by: "name", down: true }, "age")).toEqual({ by: "age", down: false });
});

test("a page is always one that there is", () => {
  const rows = Array.from({ length: 250 }, (_, i) => i);
  expect(paged(rows, 2, 100)).toEqual({ rows: rows.slice(200), page: 2, pages: 3 });
  expect(paged(rows, 9, 100).page).toBe(2);
  expect(paged([], 3, 100)).toEqual({ rows: [], page: 0, pages: 1 });
});

test("a device that does not answer is not well, whatever it said before", () => {
  expect(health({ connected: false, problem: null })).toBe("silent");
  expect(health({ connected: true, problem: "refuses" })).toBe("problem");
  expect(health({ connected: true, problem: null })).toBe("well");
  expect(inPath("")).toBe("-");
  expect(inPath("rack 1/a")).toBe("rack%201%2Fa");
  expect(short("rack_2.soc")).toBe("soc");
});

const DROOP: Corner[] = [[47, 10], [48.47, 10], [49.97, 0], [50.03, 0], [51.53, -10], [53, -10]];

test("a curve is read between its corners, and is flat beyond them", () => {
  expect(at(DROOP, 49.22)).toBeCloseTo(5);
  expect(at(DROOP, 50)).toBe(0);
  expect(at(DROOP, 40)).toBe(10);
  expect(at(DROOP, 60)).toBe(-10);
  expect(cut(DROOP, 49.22, 50)).toEqual([[49.22, expect.closeTo(5)], [49.97, 0], [50, 0]]);
});

test("a drawing holds the bends and the point where the plant is", () => {
  const seen = frame(DROOP, { x: 47.2, y: 10 }, 0.6);
  expect(seen.x[0]).toBeLessThan(47.2);
  expect(seen.x[1]).toBeGreaterThan(51.53);
  expect(seen.y[0]).toBeLessThan(-10);
  const box = { width: 600, height: 300, left: 60, right: 10, top: 10, bottom: 40 };
  const scale = scales(seen, box);
  expect(scale.x(seen.x[0])).toBeCloseTo(60);
  expect(scale.x(seen.x[1])).toBeCloseTo(590);
  expect(scale.y(seen.y[1])).toBeCloseTo(10);
  expect(frame([], null, 1).x.every(Number.isFinite)).toBe(true);
});

test("ticks are round and lie within", () => {
  expect(ticks([-11, 11], 5)).toEqual([-10, -5, 0, 5, 10]);
  expect(ticks([49.8, 50.2], 4)).toEqual([49.8, 49.9, 50, 50.1, 50.2]);
  expect(decimals([49.8, 49.9])).toBe(1);
  expect(decimals([-10, -5])).toBe(0);
  expect(ticks([1, 1], 4)).toEqual([]);
});

test("the voltage's curve is that of the mode and the parameters", () => {
  const plant = { rated_power: 10, rated_apparent_power: 11, nominal_voltage: 400, nominal_frequency: 50 };
  const values: Record<string, unknown> = { "voltage.setpoint": 100, "voltage.droop": 5, "voltage.dead_band": 1, "frequency.curve": "droop", "frequency.dead_band": 30 };
  const curve = voltageCurve("voltage_droop", (name) => values[name], plant)!;
  expect(curve.points).toEqual([[376, 11], [396, 0], [404, 0], [424, -11]]);
  expect(curve.band).toEqual([396, 404]);
  values["voltage.dead_band"] = 0;
  expect(voltageCurve("voltage_droop", (name) => values[name], plant)).toEqual({ by: "voltage", points: [[380, 11], [400, 0], [420, -11]], band: null });
  expect(voltageCurve("ieee1547_watt_var", (name) => values[name], plant)!.points.at(-1)).toEqual([10, expect.closeTo(-4.84)]);
  expect(voltageCurve("power_factor", (name) => values[name], plant)).toBeNull();
  expect(voltageCurve("voltage_droop", () => "none", plant)).toBeNull();
  expect(deadBand((name) => values[name], 50)).toEqual([49.97, 50.03]);
  values["frequency.curve"] = "uk_dc";
  expect(deadBand((name) => values[name], 50)).toBeNull();
});

test("the presets are those of the control plane", () => {
  const source = readFileSync(new URL("../../src/bessai/grid/curves.py", `file://${__filename}`), "utf8");
  for (const [name, curve] of [["VOLT_VAR", VOLT_VAR], ["WATT_VAR", WATT_VAR]] as const) {
    const text = new RegExp(`^${name} = Preset\\(\\s*curve=Curve\\(\\((.*?)\\)\\), open`, "ms").exec(source)![1]!;
    expect([...text.matchAll(/\((-?[\d.]+), (-?[\d.]+)\)?/g)].map((pair) => [Number(pair[1]), Number(pair[2])])).toEqual(curve);
  }
});

const parameter = (more: Partial<Parameter>): Parameter => ({
  value: 5, unit: "%", file: 5, kind: "parameter", type: "number", low: 2, high: 5, choices: [], range: "2 … 5 %", clause: "", confidence: "A",
  provisional: false, description_en: "", description_es: "", set_by: null, authorisation: null, set_wall_ns: null, ...more,
});

test("what is typed is read as people write it, and never guessed", () => {
  expect(typedNumber(" 3,5 ")).toBe(3.5);
  expect(typedNumber("−0.2")).toBe(-0.2);
  for (const text of ["", "1.5.2", "1e3", "3 %", "0x10", "Infinity", "."]) expect(typedNumber(text), text).toBeNull();
  for (const text of ["1.500", "12,000", "-1.500", "1.500.000"]) expect(ambiguous(text), text).toBe(true);
  for (const text of ["0.125", "1.50", "1500", "1.5005"]) expect(ambiguous(text), text).toBe(false);
  expect(read(parameter({}), "3,0")).toEqual({ value: 3, wrong: null });
  expect(read(parameter({}), "1.9").wrong).toBe("too_low");
  expect(read(parameter({}), "5.1").wrong).toBe("too_high");
  expect(read(parameter({}), "5").wrong).toBe("same");
  expect(read(parameter({}), "three").wrong).toBe("not_a_number");
  expect(read(parameter({ high: 5000 }), "1.500").wrong).toBe("ambiguous");
  expect(read(parameter({ value: 5, choices: ["none"] }), "none")).toEqual({ value: "none", wrong: null });
  expect(read(parameter({ type: "switch", value: false }), "true")).toEqual({ value: true, wrong: null });
  expect(grouped({ "a.x": parameter({}), "b.y": parameter({}), "a.z": parameter({}) }).map(([name, list]) => [name, list.length])).toEqual([["a", 2], ["b", 1]]);
});

test("the course of lateness keeps the newest, drawn from the right", () => {
  const sample = (time: number): { time: number; p50: number; p99: number; missed: number } => ({ time, p50: 0, p99: 0.002, missed: 0 });
  let samples = followed([], sample(1));
  samples = followed(samples, sample(1));
  expect(samples.length).toBe(1);
  samples = followed(followed(samples, sample(2), 2), sample(3), 2);
  expect(samples.map((one) => one.time)).toEqual([2, 3]);
  expect(line([0, 1], 100, 50, 1, 11)).toBe("90.0,50.0 100.0,0.0");
  expect(line([9], 100, 50, 1, 11)).toBe("100.0,0.0");
  expect(ceiling([0.0031])).toBe(0.005);
  expect(ceiling([])).toBe(0.001);
});

test("bytes have the unit that people can read", () => {
  expect(scaled(999)).toEqual({ value: 999, unit: "B" });
  expect(scaled(999_600)).toEqual({ value: 0.9996, unit: "MB" });
  expect(scaled(4_209_148)).toEqual({ value: 4.209148, unit: "MB" });
});

test("settings are found by each word", () => {
  const setting = (name: string, source: string): Parameters<typeof chosen>[0][number] => ({ name, source, value: "x", default: null, description: "Seconds of one cycle.", required: false });
  const all = [setting("CYCLE_TIME", "default"), setting("SITE_ID", "environment")];
  expect(chosen(all, "cycle time", false).map((one) => one.name)).toEqual(["CYCLE_TIME"]);
  expect(chosen(all, "", true).map((one) => one.name)).toEqual(["SITE_ID"]);
});

const user = (name: string, more: Partial<User> = {}): User => ({
  name, role: "administrator", language: "en", created: "", last_seen: null, locked_until: null, disabled: false, sessions: 0, ...more,
});

test("the last administrator is known before the server refuses", () => {
  expect(last(user("ana"), [user("ana")])).toBe(true);
  expect(last(user("ana"), [user("ana"), user("ben", { disabled: true }), user("eva", { role: "engineer" })])).toBe(true);
  expect(last(user("ana"), [user("ana"), user("ben")])).toBe(false);
  expect(last(user("eva", { role: "engineer" }), [user("eva", { role: "engineer" })])).toBe(false);
  expect(last(user("ana", { disabled: true }), [user("ana", { disabled: true }), user("ben")])).toBe(false);
});

test("users and tokens are in words", () => {
  const now = Date.parse("2026-11-29T06:00:00Z");
  expect(state(user("a", { locked_until: "2026-11-29T06:10:00Z" }), now)).toBe("locked");
  expect(state(user("a", { locked_until: "2026-11-29T05:10:00Z" }), now)).toBe("well");
  expect(state(user("a", { locked_until: "2026-11-29T06:10:00Z", disabled: true }), now)).toBe("disabled");
  expect(left("2026-11-29T05:00:00Z", now)).toBe("ended");
  expect(left("2026-12-05T06:00:00Z", now)).toBe("soon");
  expect(left("2027-12-05T06:00:00Z", now)).toBe("valid");
  for (const name of ["ana", "a.b-c_d", "9"]) expect(nameFits(name), name).toBe(true);
  for (const name of ["", "Ana", "-a", "a b", "a".repeat(33), "año"]) expect(nameFits(name), name).toBe(false);
  expect([useful("read", "viewer"), useful("control", "viewer"), useful("control", "operator"), useful("admin", "engineer"), useful("admin", "administrator")]).toEqual([true, false, true, false, true]);
});

const entry = (sequence: number, time: string): Entry => ({
  sequence, time, user: "ana", role: "", address: "", action: "request", target: "", reason: "", outcome: "done", detail: {}, hash: "",
});

test("pages of the audit log join without doubles, and stop at the chosen day", () => {
  const new_ = [entry(5, "2026-11-29T06:00:00Z"), entry(4, "2026-11-28T06:00:00Z")];
  const older = [entry(4, "2026-11-28T06:00:00Z"), entry(3, "2026-11-01T06:00:00Z")];
  const all = joined(new_, older);
  expect(all.map((one) => one.sequence)).toEqual([5, 4, 3]);
  expect(within(all, Date.parse("2026-11-02T00:00:00Z"), Date.parse("2026-11-29T06:00:00Z")).map((one) => one.sequence)).toEqual([4]);
  expect(exhausted(all, Date.parse("2026-11-02T00:00:00Z"))).toBe(true);
  expect(exhausted(new_, Date.parse("2026-11-02T00:00:00Z"))).toBe(false);
  expect(exhausted(all, null)).toBe(false);
  expect(new Date(day("2026-11-29", 1)!).getDate()).toBe(30);
  expect(day("29.11.2026")).toBeNull();
  expect(query({ user: " ana ", action: "" }, 40, 100)).toBe("/audit?limit=100&before=40&user=ana");
  expect(told({ code: "refused", why: null, change: { a: 1 } })).toBe('code: refused · change: {"a":1}');
});

test("exceptions are told by how often they came", () => {
  const kinds = [{ code: 2, name: "illegal data address", count: 3 }, { code: 6, name: "device busy", count: 9 }, { code: 4, name: "device failure", count: 3 }];
  expect(byCount(kinds).map((kind) => kind.code)).toEqual([6, 2, 4]);
  expect(total(kinds)).toBe(15);
  expect(total([])).toBe(0);
  expect(exceptionWord(6, "device busy")).not.toBe("");
  expect(exceptionWord(99, "unknown")).toBe("unknown");
});

test("only lines have checksums", () => {
  expect(serial("/dev/ttyUSB0 (9600 baud, 8N1)")).toBe(true);
  expect(serial("rtu+tcp://10.0.0.5:4001")).toBe(true);
  expect(serial("10.0.0.5:502")).toBe(false);
  expect(serial("tls://10.0.0.5:802")).toBe(false);
});

test("cycles are drawn by lateness, without the empty classes at the end", () => {
  const found = bars([0.001, 0.002, 0.005], [4, 8, 0, 0], 2);
  expect(found).toEqual([
    { from: null, to: 0.001, count: 4, height: 0.5 },
    { from: 0.001, to: 0.002, count: 8, height: 1 },
  ]);
  expect(bars([0.001, 0.002, 0.005], [4, 8, 0, 1], 2).at(-1)).toEqual({ from: 0.005, to: null, count: 1, height: 0.125 });
  expect(bars([0.001], [0, 0]).map((bar) => bar.height)).toEqual([0, 0]);
});

test("a self-test shows what failed first, and what was not tested before what passed", () => {
  const made = (name: string, verdict: string): Tested => ({ name, clause: "", verdict, requirement: null, limit: null, found: null, reason: null });
  const rows = [made("a", "pass"), made("b", "not tested"), made("c", "fail"), made("d", "pass")];
  expect(ranked(rows, null).map((row) => row.name)).toEqual(["c", "b", "a", "d"]);
  expect(ranked(rows, "pass").map((row) => row.name)).toEqual(["a", "d"]);
  expect(rows[0]!.name).toBe("a");
});
