import { expect, test } from "vitest";

import { Group, worst } from "../src/pages/cells/group";
import { colour, fitting, palette, step, STEPS } from "../src/pages/cells/scale";

const group = (device: string, values: (number | null)[], quality: (number | string)[] = values.map(() => "good")): Group =>
  new Group({ device, kind: "voltage", unit: "V", names: values.map((_v, i) => `${device}.cell_voltage_${i + 1}`), values, quality, ages: values.map(() => 1) }, 0);

test("the scale grows evenly lighter, for eyes without colour too", () => {
  const light = Array.from({ length: 21 }, (_one, i) => {
    const [r, g, b] = colour(i / 20).map((one) => (one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4));
    return Math.cbrt(0.2126 * r! + 0.7152 * g! + 0.0722 * b!);
  });
  const steps = light.slice(1).map((one, i) => one - light[i]!);
  expect(Math.min(...steps)).toBeGreaterThan(0.01);
  expect(Math.max(...steps) / Math.min(...steps)).toBeLessThan(3);
  expect(new Set(palette).size).toBe(STEPS);
  expect([step(-1, 0, 1), step(9, 0, 1), step(5, 5, 5)]).toEqual([0, STEPS - 1, STEPS / 2]);
});

test("noise does not fill the automatic range", () => {
  const [low, high] = fitting(3.31, 3.311, "V");
  expect(low).toBeLessThanOrEqual(3.31);
  expect(high).toBeGreaterThanOrEqual(3.311);
  expect(high - low).toBeGreaterThanOrEqual(0.02);
});

test("cells are judged against their own device; only good ones", () => {
  const a = group("a", [3.3, 3.3, 3.36, 9], ["good", "good", "good", "out_of_range"]);
  const b = group("b", [3.1, 3.1, 3.0, null]);
  expect(a.stats).toMatchObject({ good: 3, highest: 2 });
  const named = (order: "deviation" | "highest" | "lowest") => worst([a, b], order, 2).map((one) => one.group.names[one.i]);
  expect(named("deviation")).toEqual(["b.cell_voltage_3", "a.cell_voltage_3"]);
  expect(named("highest")[0]).toBe("a.cell_voltage_3");
  expect(named("lowest")[0]).toBe("b.cell_voltage_3");
});

test("a frame finds its cells by name; before the first one the answer stands", () => {
  const one = group("a", [3.3, 3.4]);
  const index = new Map([["soc", 0], ["a.cell_voltage_2", 1]]);
  const frame = { values: Float64Array.of(50, 3.5), quality: Uint8Array.of(255, 255), ages: Float32Array.of(NaN, NaN), told: Float64Array.of(0, 0) };
  expect(one.take(index, frame)).toBe(false);
  frame.quality[1] = 2;
  frame.ages[1] = 4;
  frame.told[1] = 1000;
  expect(one.take(index, frame)).toBe(true);
  expect([one.values[0], one.values[1], one.good(1), one.age(1, 3000)]).toEqual([3.3, 3.5, false, 6]);
});
