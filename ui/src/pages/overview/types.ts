/** What GET /overview and GET /schedule say. */
export interface Measured {
  value: number;
  quality: string;
  age: number;
  /** Where it was measured; null: it is what balances. */
  point: string | null;
}

export type Part = "pv" | "battery" | "inverter" | "grid" | "load";

export interface OverviewAnswer {
  soc: number | null;
  soc_low: number | null;
  soc_high: number | null;
  energy_capacity: number | null;
  seconds_to_full: number | null;
  seconds_to_empty: number | null;
  flows: Record<Part, Measured | null>;
  publishers: Publisher[];
}

/** What waits for one destination. */
export interface Publisher {
  name: string;
  state: string;
  connected: boolean | null;
  backlog: number;
  oldest_waiting: number | null;
  delivered: string | null;
  failed: string | null;
  error: string | null;
}

export interface Entry {
  start: string;
  end: string;
  power: number | null;
  soc_target: number | null;
  reason: string;
}

export interface ScheduleAnswer {
  file: string | null;
  problem?: string | null;
  entries: Entry[];
}
