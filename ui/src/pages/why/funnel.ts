/** The geometry of a decision: which rows there are, what each leaves of the range, and where it lies on the axis. */
import type { Both } from "../../lib/i18n.svelte";
import type { Bounds, Decision } from "../../lib/types";

export interface Step {
  kind: "bounds" | "limit" | "request" | "result";
  name: string;
  /** kW left after the step. null: open, or the record does not say. */
  low: number | null;
  high: number | null;
  power: number | null;
  text: Both;
  priority?: string | null;
  role?: string | null;
  asks?: Bounds | null;
  offset?: number | null;
  soc_target?: number | null;
}

export interface Told {
  time: string;
  cycle: number;
  verified: boolean;
  decision: Decision;
  steps: Step[];
  words: string[];
  previous: number | null;
  next: number | null;
  measured: Record<string, number | null>;
}

export interface Course {
  times: number[];
  setpoint: (number | null)[];
  asked: (number | null)[];
  low: (number | null)[];
  high: (number | null)[];
  state: string[];
  source: (string | null)[];
  step: number;
}

export interface Row extends Step {
  /** The range that the row before left. */
  before: Bounds;
  /** The range that this row leaves; a step that does not tell it leaves the range as it was. */
  left: Bounds;
  /** Whether the record tells what the row leaves. */
  told: boolean;
  /** Whether it took something away. */
  narrows: boolean;
}

/** The steps as rows of a funnel. */
export function rows(steps: readonly Step[]): Row[] {
  let before: Bounds = [null, null];
  return steps.map((step) => {
    const told = step.low !== null || step.high !== null || (step.kind !== "limit" && step.name !== "reported");
    const left: Bounds = told ? [step.low, step.high] : before;
    const row = { ...step, before, left, told, narrows: told && narrower(before, left) };
    before = left;
    return row;
  });
}

function narrower(before: Bounds, left: Bounds): boolean {
  const low = left[0] !== null && (before[0] === null || left[0] > before[0] + 1e-6);
  const high = left[1] !== null && (before[1] === null || left[1] < before[1] - 1e-6);
  return low || high;
}

/**
 * The greatest power, in kW, that the picture has to show on either side of zero: a round number, never 0.
 *
 * A wish far beyond all limits is drawn at the edge, so that one can still tell the limits apart.
 */
export function reach(steps: readonly Step[], more: readonly (number | null | undefined)[] = []): number {
  const most = (values: readonly (number | null | undefined)[]): number => Math.max(0, ...values.map((value) => Math.abs(value ?? 0)));
  const wishes = steps.filter((step) => step.kind === "request");
  const wished = most(wishes.flatMap((step) => [step.power, ...(step.asks ?? [])]));
  const real = most([...steps.flatMap((step) => [step.low, step.high, step.kind === "request" ? null : step.power]), ...more]);
  return round(real > 0 ? Math.max(real, Math.min(wished, 2 * real)) : wished);
}

/** It lies outside of what is shown. */
export const beyond = (axis: Axis, power: number): boolean => Math.abs(power) > axis.reach * (1 + 1e-9);

/** The next of 1, 2, 2.5, 5 and their tens that holds a number. */
function round(value: number): number {
  if (!(value > 0)) return 1;
  const ten = 10 ** Math.floor(Math.log10(value));
  return ([1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((n) => n * ten >= value * (1 - 1e-9)) ?? 10) * ten;
}

export interface Axis {
  reach: number;
  width: number;
  pad: number;
}

/** Where a power lies; what is open lies at the edge, and what is beyond is held there. */
export function x(axis: Axis, power: number | null, open: -1 | 1 = 1): number {
  const share = power === null ? open : Math.max(-1, Math.min(1, power / axis.reach));
  const end = power === null ? 0 : axis.pad;
  return end + ((share + 1) / 2) * (axis.width - 2 * end);
}

export const ticks = (axis: Axis): number[] =>
  (axis.width < 420 ? [-1, 0, 1] : [-1, -0.5, 0, 0.5, 1]).map((share) => share * axis.reach);

/** The outline of a row: from the range before it, bending to the range after it. */
export function funnel(axis: Axis, row: Row, height: number, top: number, bottom: number): string {
  const [a, b] = [x(axis, row.before[0], -1), x(axis, row.before[1], 1)];
  const [c, d] = [x(axis, row.left[0], -1), x(axis, row.left[1], 1)];
  return `M${a} 0H${b}V${top}L${d} ${bottom}V${height}H${c}V${bottom}L${a} ${top}Z`;
}

/** The rows of a course at which what was commanded, who won, or the state became another. */
export function changes(course: Course): number[] {
  const found: number[] = [];
  for (let i = 1; i < course.times.length; i++)
    if (
      course.setpoint[i] !== course.setpoint[i - 1] || course.source[i] !== course.source[i - 1] ||
      course.state[i] !== course.state[i - 1]
    ) found.push(course.times[i]!);
  return found;
}

/** The last change before a time, or the first after it. */
export function change(found: readonly number[], time: number, way: -1 | 1): number | null {
  return (way < 0 ? found.findLast((one) => one < time) : found.find((one) => one > time)) ?? null;
}

/** A stepped line through a column; where nothing is known there is a gap. */
export function stepped(
  times: readonly number[], values: readonly (number | null)[], at: (time: number) => number,
  up: (value: number) => number,
): string {
  let path = "";
  let drawn = false;
  times.forEach((time, i) => {
    const value = values[i];
    if (value === null || value === undefined) drawn = false;
    else {
      const [left, y] = [at(time).toFixed(1), up(value).toFixed(1)];
      path += drawn ? `H${left}V${y}` : `M${left} ${y}`;
      drawn = true;
    }
  });
  return path;
}
