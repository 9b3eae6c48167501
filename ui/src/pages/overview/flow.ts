/** The picture of the power flow: which parts are drawn, where, and which way the power goes. */
import type { Part } from "./types";

export interface Known {
  /** kW; null: not known now. */
  value: number | null;
  stale: boolean;
  /** The plant has such a point, or the server computes it. */
  exists: boolean;
  /** Computed as what balances the others. */
  balance: boolean;
}

export interface Node {
  part: Part;
  x: number;
  y: number;
  known: Known;
  direction: Direction;
}

export interface Wire {
  part: Part;
  path: string;
  /** Middle of the wire, where the arrow stands, and its angle in degrees for power that flows forward. */
  x: number;
  y: number;
  angle: number;
  direction: Direction;
  known: boolean;
  stale: boolean;
  /** 0 … 1 of the largest power in the picture. */
  share: number;
}

export type Direction = "forward" | "back" | "none" | "unknown";

export const WIDTH = 400;
export const HEIGHT = 262;
/** Height of the picture when everything stands in one row. */
export const ROW = 128;
/** Node size. */
export const BOX = { width: 102, height: 86 };
const LEFT = 54;
const MIDDLE = 186;
const RIGHT = WIDTH - 54;
const BUS = 270;
const [TOP, CENTRE, BOTTOM] = [47, HEIGHT / 2, HEIGHT - 47];

/** Less than this is standing still: measurement noise about zero. */
export function still(values: readonly (number | null)[], rated: number | null): number {
  const most = Math.max(rated ?? 0, ...values.map((value) => Math.abs(value ?? 0)));
  return Math.max(0.02, most * 0.003);
}

export function directionOf(value: number | null, threshold: number): Direction {
  if (value === null) return "unknown";
  return Math.abs(value) < threshold ? "none" : value > 0 ? "forward" : "back";
}

/** Battery and inverter always stand; others only where the plant has them. */
export function layout(known: Record<Part, Known>, rated: number | null): { nodes: Node[]; wires: Wire[]; top: number; height: number } {
  const parts = Object.values(known);
  const threshold = still(parts.map((one) => one.value), rated);
  const most = Math.max(threshold, ...parts.map((one) => Math.abs(one.value ?? 0)));
  const has = (part: Part): boolean => part === "battery" || part === "inverter" || known[part].exists;
  const place: Record<Part, [number, number]> = {
    pv: [LEFT, TOP], battery: [LEFT, has("pv") ? BOTTOM : CENTRE], inverter: [MIDDLE, CENTRE],
    grid: [RIGHT, has("load") ? TOP : CENTRE], load: [RIGHT, has("grid") ? BOTTOM : CENTRE],
  };
  const nodes = (Object.keys(place) as Part[]).filter(has).map((part): Node => ({
    part, x: place[part][0], y: place[part][1], known: known[part], direction: directionOf(known[part].value, threshold),
  }));
  const beyond = has("grid") || has("load");
  const wires = nodes
    .filter((node) => node.part !== "inverter" || beyond)
    .map(({ part, x, y, direction }): Wire => {
      const common = {
        part, direction, known: known[part].value !== null, stale: known[part].stale,
        share: Math.min(1, Math.abs(known[part].value ?? 0) / most),
      };
      if (part === "inverter") {
        const from = MIDDLE + BOX.width / 2;
        return { ...common, path: `M${from} ${CENTRE}H${BUS}`, x: (from + BUS) / 2, y: CENTRE, angle: 0 };
      }
      if (part === "pv" || part === "battery") {
        const from = x + BOX.width / 2;
        const to = MIDDLE - BOX.width / 2;
        if (y === CENTRE) return { ...common, path: `M${from} ${y}H${to}`, x: (from + to) / 2, y, angle: 0 };
        // around the corner, into the side of the inverter's box
        const edge = CENTRE + (y < CENTRE ? -1 : 1) * (BOX.height / 2);
        return { ...common, path: `M${from} ${y}H${MIDDLE}V${edge}`, x: (from + MIDDLE) / 2, y, angle: 0 };
      }
      const to = x - BOX.width / 2;
      if (y === CENTRE) return { ...common, path: `M${BUS} ${CENTRE}H${to}`, x: (BUS + to) / 2, y, angle: 0 };
      return {
        ...common, path: `M${BUS} ${CENTRE}V${y}H${to}`, x: BUS, y: (CENTRE + y) / 2 + (y < CENTRE ? -6 : 6), angle: y < CENTRE ? -90 : 90,
      };
    });
  const flat = nodes.every((node) => node.y === CENTRE);
  return { nodes, wires, top: flat ? CENTRE - ROW / 2 : 0, height: flat ? ROW : HEIGHT };
}
