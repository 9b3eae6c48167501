/** The course of the cycle's lateness while the page is open, and how its line lies in a small drawing. */
export interface Sample {
  /** ms since 1970, of the browser. */
  time: number;
  /** Seconds. */
  p50: number;
  p99: number;
  missed: number;
}

export const MOST = 150;

/** Adds a sample; the oldest goes. The same status told again adds nothing. */
export function followed(samples: readonly Sample[], next: Sample, most = MOST): Sample[] {
  if (samples.at(-1)?.time === next.time) return [...samples];
  return [...samples, next].slice(-most);
}

/** Points of a polyline from the left edge to the right, 0 at the bottom. */
export function line(values: readonly number[], width: number, height: number, top: number, slots: number): string {
  const step = width / Math.max(1, slots - 1);
  const first = slots - values.length;
  return values
    .map((value, i) => `${((first + i) * step).toFixed(1)},${(height - Math.min(1, Math.max(0, value / top)) * height).toFixed(1)}`)
    .join(" ");
}

/** A round value above all of them, in seconds: 1, 2 or 5 of a power of ten, at least 1 ms. */
export function ceiling(values: readonly number[]): number {
  const most = Math.max(0.001, ...values);
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= most * 0.999999)!;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Bytes with the unit that leaves 1 to 999, counted by thousands as disks are sold. */
export function scaled(bytes: number): { value: number; unit: string } {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return { value, unit: UNITS[unit]! };
}

export interface Setting {
  name: string;
  value: unknown;
  default: unknown;
  description: string;
  source: string;
  required: boolean;
}

/** Settings whose name, value or description has every word; `changed` leaves the defaults out. */
export function chosen(settings: readonly Setting[], search: string, changed: boolean): Setting[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return settings.filter((one) => {
    if (changed && one.source === "default") return false;
    const text = `${one.name} ${String(one.value ?? "")} ${one.description}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
