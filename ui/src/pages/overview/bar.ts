/** The scale of the set-point bar: always with zero, the bounds, and every mark in it. */
export interface Scale {
  low: number;
  high: number;
}

export function scale(bounds: readonly (number | null)[], marks: readonly (number | null | undefined)[], rated: number | null): Scale {
  const known = [...bounds, ...marks].filter((value): value is number => typeof value === "number" && Number.isFinite(value));
  let low = Math.min(0, ...known, ...(rated ? [-rated] : []));
  let high = Math.max(0, ...known, ...(rated ? [rated] : []));
  if (high - low < 1e-9) [low, high] = [-1, 1];
  const pad = (high - low) * 0.04;
  return { low: low - pad, high: high + pad };
}

/** Where a value stands, in % from the left; null: it is not known. */
export function at(value: number | null | undefined, { low, high }: Scale): number | null {
  if (value === null || value === undefined || !Number.isFinite(value)) return null;
  return Math.min(100, Math.max(0, ((value - low) / (high - low)) * 100));
}
