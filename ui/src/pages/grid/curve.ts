/** Curves of the grid functions, and where they lie in a drawing. */
export type Corner = readonly [x: number, y: number];

export interface Box {
  width: number;
  height: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export interface Frame {
  x: [low: number, high: number];
  y: [low: number, high: number];
}

/** The part of a curve that is worth seeing: its bends and the point where the plant is, with room around. */
export function frame(points: readonly Corner[], at: { x: number; y: number } | null, least: number): Frame {
  const bends = points.slice(1, -1);
  const shown = bends.length ? bends : points;
  let [low, high] = span(shown.map(([x]) => x).concat(at ? [at.x] : []));
  const room = Math.max((high - low) * 0.15, (least - (high - low)) / 2, 0);
  [low, high] = [low - room, high + room];
  const ys = cut(points, low, high).map(([, y]) => y).concat(at ? [at.y] : []);
  const [bottom, top] = span(ys);
  const more = (top - bottom || 1) * 0.1;
  return { x: [low, high], y: [bottom - more, top + more] };
}

function span(values: readonly number[]): [number, number] {
  return values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
}

/** Y of a line through points at x; flat beyond its ends. */
export function at(points: readonly Corner[], x: number): number {
  const first = points[0];
  if (!first) return NaN;
  if (x <= first[0]) return first[1];
  for (let i = 1; i < points.length; i++) {
    const [x0, y0] = points[i - 1]!;
    const [x1, y1] = points[i]!;
    if (x <= x1) return x1 === x0 ? y1 : y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
  }
  return points.at(-1)![1];
}

/** The curve between two x, flat beyond its ends. */
export function cut(points: readonly Corner[], low: number, high: number): Corner[] {
  if (!points.length) return [];
  return [[low, at(points, low)], ...points.filter(([x]) => x > low && x < high), [high, at(points, high)]];
}

export interface Scales {
  x: (value: number) => number;
  y: (value: number) => number;
}

export function scales({ x, y }: Frame, box: Box): Scales {
  const across = (box.width - box.left - box.right) / (x[1] - x[0] || 1);
  const up = (box.height - box.top - box.bottom) / (y[1] - y[0] || 1);
  return {
    x: (value) => box.left + (value - x[0]) * across,
    y: (value) => box.height - box.bottom - (value - y[0]) * up,
  };
}

export function path(points: readonly Corner[], scale: Scales): string {
  return points.map(([x, y], i) => `${i ? "L" : "M"}${scale.x(x).toFixed(1)} ${scale.y(y).toFixed(1)}`).join("");
}

/** Round numbers inside a range, `about` so many. */
export function ticks([low, high]: readonly [number, number], about: number): number[] {
  const raw = (high - low) / Math.max(1, about);
  if (!(raw > 0) || !Number.isFinite(raw)) return [];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw * 0.999)!;
  const made = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) made.push(Number((n * step).toPrecision(12)));
  return made;
}

/** Decimals that tell the ticks apart. */
export function decimals(values: readonly number[]): number {
  const step = values.length > 1 ? Math.abs(values[1]! - values[0]!) : 1;
  return Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
}

/** IEEE 1547-2018 Category B defaults, as in `bessai.grid.curves`; a test keeps both in step. */
export const VOLT_VAR: readonly Corner[] = [[0.92, 0.44], [0.98, 0], [1.02, 0], [1.08, -0.44]];
export const WATT_VAR: readonly Corner[] = [[0.2, 0], [0.5, 0], [1, -0.44]];

export interface Plant {
  rated_power: number;
  rated_apparent_power: number;
  nominal_voltage: number;
  nominal_frequency: number;
}

export interface VoltageCurve {
  /** Of x. */
  by: "voltage" | "power";
  points: Corner[];
  /** Not answered, of x. */
  band: [number, number] | null;
}

/** The reactive power (kvar) that a mode asks for once it has settled; null: the mode has no curve. */
export function voltageCurve(mode: string, value: (name: string) => unknown, plant: Plant): VoltageCurve | null {
  const { rated_apparent_power: apparent, nominal_voltage: nominal, rated_power: rated } = plant;
  if (mode === "ieee1547_volt_var") {
    return { by: "voltage", points: VOLT_VAR.map(([v, q]) => [v * nominal, q * apparent]), band: [0.98 * nominal, 1.02 * nominal] };
  }
  if (mode === "ieee1547_watt_var") {
    return { by: "power", points: WATT_VAR.map(([p, q]) => [p * rated, q * apparent]), band: null };
  }
  if (mode !== "voltage_droop") return null;
  const [middle, droop, band] = ["voltage.setpoint", "voltage.droop", "voltage.dead_band"].map((name) => value(name));
  if (typeof middle !== "number" || typeof droop !== "number" || typeof band !== "number" || droop <= 0) return null;
  const volts = (percent: number): number => (percent / 100) * nominal;
  const edges: [number, number] = [volts(middle - band), volts(middle + band)];
  const points: Corner[] = [[volts(middle - band - droop), apparent], [edges[0], 0]];
  if (band > 0) points.push([edges[1], 0]);
  points.push([volts(middle + band + droop), -apparent]);
  return { by: "voltage", points, band: band > 0 ? edges : null };
}

/** The frequencies between which nothing is answered; null where the law has no band of its own. */
export function deadBand(value: (name: string) => unknown, nominal: number): [number, number] | null {
  const band = value("frequency.dead_band");
  if (value("frequency.curve") !== "droop" || typeof band !== "number" || band <= 0) return null;
  return [nominal - band / 1000, nominal + band / 1000];
}
