/** The cells of one device and kind, their live values, and which of them stand out. */
export interface Answer {
  device: string | null;
  kind: "voltage" | "temperature";
  unit: string | null;
  names: string[];
  values: (number | null)[];
  /** Codes or names; 0 and "good" are good. */
  quality: (number | string)[];
  ages: (number | null)[];
}

/** Code of a cell of which nothing was ever told. */
export const NEVER = 255;
/** Names of the quality codes, as the gateway counts them. */
export const QUALITIES = ["good", "missing", "stale", "not_available", "invalid", "out_of_range", "absent", "implausible", "frozen"];

export class Group {
  readonly key: string;
  readonly device: string;
  readonly kind: "voltage" | "temperature";
  readonly unit: string | null;
  readonly names: readonly string[];
  /** The numbers in the names: `rack_2.cell_voltage_017` is 17. */
  readonly numbers: readonly number[];
  values: Float64Array;
  quality: Uint8Array;
  /** Seconds, when it was told. */
  ages: Float32Array;
  /** Wall clock in ms at which it was told. */
  told: Float64Array;
  stats: Stats = NONE;
  private places: Int32Array | null = null;
  private from: ReadonlyMap<string, number> | null = null;

  constructor(answer: Answer, now: number) {
    this.device = answer.device ?? "";
    this.kind = answer.kind;
    this.unit = answer.unit;
    this.key = `${answer.kind}:${this.device}`;
    this.names = answer.names;
    this.numbers = answer.names.map((name) => Number(/(\d+)$/.exec(name)?.[1] ?? 0));
    this.values = Float64Array.from(answer.values, (value) => value ?? NaN);
    this.quality = Uint8Array.from(answer.quality, code);
    this.ages = Float32Array.from(answer.ages, (age) => age ?? NaN);
    this.told = new Float64Array(answer.names.length).fill(now);
    this.stats = statistics(this.values, this.quality);
  }

  /** Takes this group's part of a frame; false when the stream does not tell of any of these cells. */
  take(index: ReadonlyMap<string, number>, frame: { values: Float64Array; quality: Uint8Array; ages: Float32Array; told: Float64Array }): boolean {
    if (this.from !== index) {
      this.places = Int32Array.from(this.names, (name) => index.get(name) ?? -1);
      this.from = index;
    }
    const places = this.places!;
    let any = false;
    for (let i = 0; i < places.length; i++) {
      const at = places[i]!;
      if (at < 0 || frame.quality[at] === NEVER) continue; // no frame yet: what GET /cells said stands
      any = true;
      this.values[i] = frame.values[at]!;
      this.quality[i] = frame.quality[at]!;
      this.ages[i] = frame.ages[at]!;
      this.told[i] = frame.told[at]!;
    }
    if (any) this.stats = statistics(this.values, this.quality);
    return any;
  }

  /** Seconds since a cell was measured; null: never. */
  age(i: number, now: number): number | null {
    const age = this.ages[i]! + Math.max(0, (now - this.told[i]!) / 1000);
    return Number.isFinite(age) ? age : null;
  }

  good(i: number): boolean {
    return this.quality[i] === 0 && Number.isFinite(this.values[i]!);
  }
}

function code(quality: number | string): number {
  if (typeof quality === "number") return quality;
  const found = QUALITIES.indexOf(quality);
  return found < 0 ? NEVER : found;
}

/** Of the good cells; null where there is none. */
export interface Stats {
  min: number | null;
  max: number | null;
  mean: number | null;
  /** Places of the lowest and the highest. */
  lowest: number;
  highest: number;
  good: number;
}

const NONE: Stats = { min: null, max: null, mean: null, lowest: -1, highest: -1, good: 0 };

export function statistics(values: Float64Array, quality: Uint8Array): Stats {
  let lowest = -1;
  let highest = -1;
  let sum = 0;
  let good = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (quality[i] !== 0 || !Number.isFinite(value)) continue;
    good++;
    sum += value;
    if (lowest < 0 || value < values[lowest]!) lowest = i;
    if (highest < 0 || value > values[highest]!) highest = i;
  }
  return good ? { min: values[lowest]!, max: values[highest]!, mean: sum / good, lowest, highest, good } : NONE;
}

export type Order = "deviation" | "highest" | "lowest";

export interface Standing {
  group: Group;
  /** Its place in the group. */
  i: number;
  value: number;
  /** From the mean of its device. */
  deviation: number;
}

/** The cells that stand out most, worst first; only good ones are judged. */
export function worst(groups: readonly Group[], order: Order, most: number): Standing[] {
  const found: { weight: number; one: Standing }[] = [];
  let least = -Infinity;
  for (const group of groups) {
    const mean = group.stats.mean;
    if (mean === null) continue;
    for (let i = 0; i < group.values.length; i++) {
      const value = group.values[i]!;
      if (group.quality[i] !== 0 || !Number.isFinite(value)) continue;
      const weight = order === "highest" ? value : order === "lowest" ? -value : Math.abs(value - mean);
      if (found.length >= most && weight <= least) continue;
      let at = found.length;
      while (at > 0 && found[at - 1]!.weight < weight) at--;
      found.splice(at, 0, { weight, one: { group, i, value, deviation: value - mean } });
      if (found.length > most) found.pop();
      least = found.at(-1)!.weight;
    }
  }
  return found.map(({ one }) => one);
}

/** Lowest and highest good value of all groups; null: there is none. */
export function extent(groups: readonly Group[]): [number, number] | null {
  let low = Infinity;
  let high = -Infinity;
  for (const { stats } of groups) {
    if (stats.min === null || stats.max === null) continue;
    low = Math.min(low, stats.min);
    high = Math.max(high, stats.max);
  }
  return low <= high ? [low, high] : null;
}

/** Columns and size in pixels of square cells that fill a width. */
export function layout(count: number, width: number, size: number): { columns: number; rows: number; size: number } {
  const columns = Math.max(1, Math.min(count, Math.floor(width / size)));
  return { columns, rows: Math.max(1, Math.ceil(count / columns)), size };
}
