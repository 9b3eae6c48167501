/** What the banner above every page says; the worst first. Plain, so that a test can go through it. */
export type Notice =
  | { kind: "broken"; seconds: number | null }
  | { kind: "refused"; detail: string; code: string }
  | { kind: "lost"; detail: string }
  | { kind: "stalled"; seconds: number }
  | { kind: "trip"; code: string; message: string }
  | { kind: "maintenance"; user: string; reason: string };

export interface Seen {
  state: "connecting" | "open" | "lost" | "broken" | "refused";
  frameAge: number | null;
  /** Seconds of a cycle. */
  period: number;
  problem: string | null;
  /** Of the refusal. */
  code?: string | null;
  trips: readonly { code: string; message?: string }[];
  maintenance: { user: string; reason: string } | null;
}

/** Age of the last frame from which on nothing is current. */
export const late = (period: number): number => Math.max(2.5, 2.5 * period);

export function notices(seen: Seen): Notice[] {
  const found: Notice[] = [];
  if (seen.state === "broken") found.push({ kind: "broken", seconds: seen.frameAge });
  else if (seen.state === "refused") found.push({ kind: "refused", detail: seen.problem ?? "", code: seen.code ?? "" });
  else if (seen.state === "lost") found.push({ kind: "lost", detail: seen.problem ?? "" });
  else if (seen.frameAge !== null && seen.frameAge > late(seen.period)) found.push({ kind: "stalled", seconds: seen.frameAge });
  for (const trip of seen.trips) found.push({ kind: "trip", code: trip.code, message: trip.message ?? "" });
  if (seen.maintenance) found.push({ kind: "maintenance", ...seen.maintenance });
  return found;
}
