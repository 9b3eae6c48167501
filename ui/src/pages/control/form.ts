/** What an operator wants, from what stands in the form; and what is wrong with it, field by field. */
export type Mode = "power" | "soc";
export type Direction = "discharge" | "charge";

export interface Wanted {
  mode: Mode;
  direction: Direction;
  /** As typed; the comma of Spanish is a decimal point as well. */
  power: string;
  soc: string;
  low: string;
  high: string;
  minutes: string;
  reason: string;
}

export type Slot = "power" | "soc_target" | "low" | "high" | "for" | "reason";
export type Wrong = Partial<Record<Slot, "number" | "missing" | "negative" | "percent" | "crossed" | "lease" | "short">>;

export interface Body {
  power?: number;
  soc_target?: number;
  low?: number;
  high?: number;
  for: number;
  reason: string;
}

/** Longest lease, in seconds, as the control plane grants it. */
export const LONGEST = 3600;

/** The number that was typed; null: nothing; NaN: not a number. */
export function typed(text: string): number | null {
  const plain = String(text ?? "").trim().replace("−", "-").replace(",", ".");
  if (!plain) return null;
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : NaN;
}

/** Powers in kW, positive discharges. `body` stands when every number is right, even if the reason is still missing. */
export function read(form: Wanted): { body: Body | null; wrong: Wrong } {
  const wrong: Wrong = {};
  const body: Body = { for: 0, reason: form.reason.trim() };
  const take = (slot: "power" | "soc_target" | "low" | "high", text: string, needed: boolean): number | null => {
    const value = typed(text);
    if (value === null) {
      if (needed) wrong[slot] = "missing";
      return null;
    }
    if (Number.isNaN(value)) {
      wrong[slot] = "number";
      return null;
    }
    return value;
  };
  const power = take("power", form.power, form.mode === "power");
  if (power !== null && power < 0) wrong.power = "negative";
  else if (power !== null) {
    // with a target its sign follows from the target; the power is the highest on the way
    const charge = form.mode === "power" && form.direction === "charge";
    body.power = charge && power !== 0 ? -power : power;
  }
  if (form.mode === "soc") {
    const soc = take("soc_target", form.soc, true);
    if (soc !== null && (soc < 0 || soc > 100)) wrong.soc_target = "percent";
    else if (soc !== null) body.soc_target = soc;
  }
  const low = take("low", form.low, false);
  const high = take("high", form.high, false);
  if (low !== null) body.low = low;
  if (high !== null) body.high = high;
  if (low !== null && high !== null && low > high) wrong.high = "crossed";
  const minutes = typed(form.minutes);
  if (minutes === null) wrong.for = "missing";
  else if (!(minutes * 60 >= 1 && minutes * 60 <= LONGEST)) wrong.for = "lease";
  else body.for = Math.round(minutes * 60);
  const numbers = Object.keys(wrong).length === 0;
  if (body.reason.length < 3) wrong.reason = "short";
  return { body: numbers ? body : null, wrong };
}

export interface Sample {
  time: number;
  asked: number | null;
  decided: number | null;
  measured: number | null;
}

/** Adds a sample and drops what is older than the span (ms); a time that was there is replaced. */
export function keep(samples: readonly Sample[], sample: Sample, span: number): Sample[] {
  return [...samples.filter((one) => one.time > sample.time - span && one.time < sample.time), sample];
}

/** Measured power of all units; null when one of them is not known. */
export function sum(values: readonly (number | null)[]): number | null {
  return values.length && values.every((value) => value !== null) ? values.reduce((a, b) => a! + b!, 0) : null;
}

/**
 * The greatest power, in kW, of the picture. A wish far beyond what is decided and measured is cut off: who asks a
 * plant of 10 kW for 500 kW still wants to see the 10.
 */
export function height(samples: readonly Sample[]): number {
  const most = (values: readonly (number | null)[]): number => Math.max(0, ...values.map((value) => Math.abs(value ?? 0)));
  const real = most(samples.flatMap((one) => [one.decided, one.measured]));
  const asked = most(samples.map((one) => one.asked));
  return Math.max(1, real, real > 0 ? Math.min(asked, 2 * real) : asked);
}
