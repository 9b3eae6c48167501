/** Parameters of the grid functions: what a person types, and how values are written. */
import type { Tested } from "./tests";

export type Value = number | boolean | string;

export interface Parameter {
  value: Value;
  unit: string;
  /** What GRID_FILE says. */
  file: Value;
  kind: "parameter" | "command";
  type: "number" | "switch" | "choice";
  low: number | null;
  high: number | null;
  choices: string[];
  range: string;
  clause: string;
  confidence: "A" | "B" | "C";
  provisional: boolean;
  description_en: string;
  description_es: string;
  set_by: string | null;
  authorisation: string | null;
  set_wall_ns: number | null;
}

export interface Change {
  time: string | null;
  what: string;
  name?: string;
  old?: Value | null;
  new?: Value | null;
  user?: string;
  role?: string;
  reason?: string;
  authorisation?: string;
  source?: string;
  detail?: string;
}

export interface GridAnswer {
  config: {
    rated_power: number;
    rated_apparent_power: number;
    nominal_voltage: number;
    nominal_frequency: number;
    converters: string;
    points: Record<string, string | null>;
  } | null;
  parameters: Record<string, Parameter> | null;
  functions: Functions | null;
  droop: { points: [number, number][]; enabled: boolean } | null;
  operating: { frequency: number | null; power: number | null } | null;
  last_test: {
    file: string;
    date: string | null;
    where: string | null;
    verdict: string | null;
    counts: Record<string, number>;
    rows: Tested[];
    site: string | null;
    version: string | null;
    sabotage: string | null;
  } | null;
  changes: Change[];
  commands: Change[];
}

export interface Functions {
  inputs: Record<"frequency" | "voltage" | "active_power" | "reactive_power" | "soc", number | null>;
  frequency: { enabled: boolean; deviation: number | null; offset: number | null; limited_by: string; exhausted: string[] };
  voltage: { mode: string; target: number | null; command: number | null; trim: number; limited_by: string };
  active: { setpoint: number | null; maximum: number | null; ramp: number | null; agc: boolean; limited_by: string };
  operator_silent: boolean;
  test: { signal: string; kind: string; change: number; seconds: number } | null;
}

/** What was typed, as a number: a comma or a point parts the decimals, thousands are not parted. */
export function typedNumber(text: string): number | null {
  const plain = text.trim().replace("−", "-").replace(",", ".");
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : null;
}

/** "1.500" is 1500 to one reader and 1.5 to another. */
export const ambiguous = (text: string): boolean => /^[+\-−]?[1-9]\d{0,2}([.,]\d{3})+$/.test(text.trim());

export type Wrong = "not_a_number" | "ambiguous" | "too_low" | "too_high" | "same";

/** What a form's text means for a parameter, or what is wrong with it. */
export function read(parameter: Parameter, text: string): { value: Value; wrong: null } | { value: null; wrong: Wrong } {
  let value: Value;
  if (parameter.type === "switch") value = text === "true";
  else if (parameter.choices.includes(text)) value = text;
  else {
    if (ambiguous(text)) return { value: null, wrong: "ambiguous" };
    const number = typedNumber(text);
    if (number === null) return { value: null, wrong: "not_a_number" };
    if (parameter.low !== null && number < parameter.low) return { value: null, wrong: "too_low" };
    if (parameter.high !== null && number > parameter.high) return { value: null, wrong: "too_high" };
    value = number;
  }
  return value === parameter.value ? { value: null, wrong: "same" } : { value, wrong: null };
}

export type Group = "frequency" | "voltage" | "active";

export function grouped(parameters: Record<string, Parameter>): [string, [string, Parameter][]][] {
  const groups = new Map<string, [string, Parameter][]>();
  for (const one of Object.entries(parameters)) {
    const name = one[0].split(".")[0]!;
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  return [...groups];
}
