/** What the API says; see its OpenAPI description for the meaning of each field. */
import type { Both } from "./i18n.svelte";

export type Bounds = [low: number | null, high: number | null];

export interface Considered {
  source: string;
  priority: string;
  power: number | null;
  reactive: number | null;
  soc_target: number | null;
  offset: number | null;
  bounds: Bounds;
  seconds_left: number;
  role: string;
  reason: string;
  id: string;
}

export interface Trip {
  code: string;
  message?: string;
  [more: string]: unknown;
}

export interface Decision {
  state: string;
  setpoint?: number | null;
  target?: number | null;
  offset?: number | null;
  bounds?: Bounds;
  asked?: number | null;
  reactive?: number | null;
  source?: string | null;
  reason?: string | null;
  limited_by?: string[];
  reasons?: string[];
  requests?: Considered[];
  trips?: Trip[];
  verified?: boolean;
}

export interface LiveEvent {
  code: string;
  severity: string;
  message: string;
  active: boolean;
  point: string | null;
  value: number | null;
  time: number;
}

/** One publisher of the service plane. */
export interface Sink {
  name: string;
  state: string;
  backlog: number;
  lag: number | null;
  last_error: string | null;
  breaker: string;
  /** It holds a connection that it has not seen end; null: it keeps none, or cannot tell. */
  connected?: boolean | null;
  failures: number;
}

/** The gateway's status without its points. */
export interface Status {
  site: string;
  version: string;
  uptime: number;
  healthy: boolean;
  problems: string[];
  control: Decision;
  cycle: { cycles: number; missed: number; verified: number; late_max: number; late_p50: number; late_p99: number };
  devices: { total: number; well: number; problems: Record<string, string>; links: number; oldest_value: number | null };
  units: Record<string, Record<string, unknown>>;
  maintenance: { user: string; reason: string; wall_ns: number } | null;
  trips: Trip[];
  conditions: Record<string, unknown>[];
  journal: Record<string, unknown>;
  /** The service plane; older gateways call it `service_plane`. */
  service?: { running: boolean; sinks?: Sink[] } | null;
  service_plane?: { running: boolean; sinks?: Sink[] } | null;
  grid: Record<string, unknown> | null;
  [more: string]: unknown;
}

export interface Alarm {
  code: string;
  point: string | null;
  severity: string;
  active: boolean;
  acknowledged: boolean;
  shelved_until: string | null;
  first: string;
  last: string;
  count: number;
  message: string;
  title: Both;
  cause: Both;
  action: Both;
  value: number | null;
}

export interface Series {
  point: string;
  unit: string | null;
  resolution: string;
  step: number;
  times: number[];
  min: (number | null)[];
  max: (number | null)[];
  mean: (number | null)[];
  last: (number | null)[];
  count: number[];
  good: (number | null)[];
  pending: number;
}
