/** Numbers, units, times and ages, as people of the chosen language write them. Unknown is "–". */
import { locale, texts } from "./i18n.svelte";

export const UNKNOWN = "–";

const DIGITS: Record<string, number> = {
  kW: 1, kvar: 1, kVA: 1, kWh: 1, "%": 1, V: 1, A: 1, Hz: 3, "°C": 1, mV: 0, s: 1,
};

export function number(value: number | null | undefined, digits = 1): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  const shown = Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value; // no "−0.0"
  return written(shown, digits, locale.tag);
}

const MARKS: Record<string, [group: string, point: string]> = { "en-GB": [",", "."], "es-CL": [".", ","] };

/** As `Intl.NumberFormat` writes it, but for the minus. Not by it: the first view would wait for it to be made. */
export function written(value: number, digits: number, tag: string): string {
  const [group, point] = MARKS[tag]!;
  const [whole, part] = Math.abs(value).toFixed(digits).split(".") as [string, string?];
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, group);
  return `${value < 0 ? "−" : ""}${grouped}${part ? point + part : ""}`;
}

/** A value with its unit: "2,5 kW". A cell's volts need `digits` 3. */
export function quantity(value: number | null | undefined, unit: string | null | undefined, digits?: number): string {
  const text = number(value, digits ?? (unit ? (DIGITS[unit] ?? 2) : 2));
  return text === UNKNOWN || !unit ? text : `${text} ${unit}`;
}

const t = texts({
  s: ["{n} s", "{n} s"],
  min: ["{n} min", "{n} min"],
  h: ["{n} h", "{n} h"],
  hmin: ["{n} h {m} min", "{n} h {m} min"],
  d: ["{n} d", "{n} d"],
  ago: ["{age} ago", "hace {age}"],
});

/** A length of time: "12 s", "5 min", "3 h 20 min", "4 d". */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return UNKNOWN;
  if (seconds < 100) return t("s", { n: number(seconds, seconds < 10 ? 1 : 0) });
  if (seconds < 6000) return t("min", { n: Math.round(seconds / 60) });
  if (seconds < 48 * 3600) {
    const minutes = Math.round(seconds / 60);
    return t("hmin", { n: Math.floor(minutes / 60), m: minutes % 60 });
  }
  return t("d", { n: Math.round(seconds / 86400) });
}

export function ago(seconds: number | null | undefined): string {
  const age = duration(seconds);
  return age === UNKNOWN ? age : t("ago", { age });
}

/** A moment in the browser's own time zone. */
export function moment(time: number | string | null | undefined, withDate = true): string {
  if (time === null || time === undefined) return UNKNOWN;
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  return new Intl.DateTimeFormat(locale.tag, {
    ...(withDate ? { dateStyle: "medium" as const } : {}), timeStyle: "medium", hourCycle: "h23",
  }).format(date);
}
