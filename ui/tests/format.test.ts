import { expect, test } from "vitest";

import { written } from "../src/lib/format";
import { clockTime } from "../src/lib/zone";

test("numbers are written as the browser's own forms write them, rounded as they are stored", () => {
  const values = [0, 0.05, 0.25, 0.5, 1.005, 2.5, 9.995, 12.3456, 999.95, 1000, 1234.5, 12345.678, 999999.5, 1e6, 1.5e9];
  for (let n = 0; n < 2000; n++) values.push((Math.random() - 0.5) * 10 ** (n % 12));
  for (const tag of ["en-GB", "es-CL"])
    for (const digits of [0, 1, 2, 3]) {
      const form = new Intl.NumberFormat(tag, { minimumFractionDigits: digits, maximumFractionDigits: digits });
      for (const value of values.flatMap((one) => (one === 0 ? [one] : [one, -one])))
        expect(written(value, digits, tag), `${value} with ${digits}`).toBe(form.format(Number(value.toFixed(digits))).replace("-", "−"));
    }
});

test("the time of day has two digits each", () => {
  expect(clockTime(new Date(2026, 10, 29, 4, 5, 59))).toBe("04:05:59");
});
