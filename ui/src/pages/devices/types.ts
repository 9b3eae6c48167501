import type { PointRow } from "./points";
import type { Kind } from "./talk";

/** How a device is, as `GET /devices` says it. */
export interface Device {
  /** Empty: the only device of a site without a site file. */
  name: string;
  role: string;
  manufacturer: string;
  profile: string;
  model: string;
  address: string;
  unit: number;
  control: boolean;
  connected: boolean;
  problem: string | null;
  texts: Record<string, string>;
  requests: number;
  replies: number;
  timeouts: number;
  exceptions: number;
  bad_replies: number;
  connects: number;
  disconnects: number;
  spikes: number;
  crc_errors: number;
  strays: number;
  /** Counters of the device alone; those above are of its connection. */
  own: { replies: number; timeouts: number; bad_replies: number; exceptions: Kind[] };
  latency: { p50: number; p99: number; max: number; count: number } | null;
  last_error: { message: string; time: string } | null;
  oldest: number | null;
  period: number | null;
  capacity: number | null;
  absent_points: string[];
}

export interface DeviceRow extends Device {
  points: number;
}

export interface DeviceDetail extends Device {
  points: PointRow[];
  writes: Record<string, number>;
  caveats: string[];
}

/** The status of a unit's dead-man. */
export interface DeadMan {
  kind: string;
  time: number | null;
  interval: number | null;
  fallback: string;
  armed: boolean;
  fed_age: number | null;
  remaining: number | null;
  withheld: boolean;
  refusal: string | null;
  tested: { passed: boolean; wall_ns: number; user: string } | null;
}

/** Where a point comes from, as `GET /points/{name}` says it. */
export interface PointDetail {
  address: number | null;
  table: string | null;
  function: number | null;
  registers: number | null;
  type: string | null;
  gain: number | null;
  offset: number | null;
  raw: string[] | null;
  raw_age: number | null;
  read_every: number | null;
  valid: number[] | null;
  description: string | null;
  sources: string[];
  computed_from: string[];
}

export type Health = "well" | "problem" | "silent";

export function health(device: Pick<Device, "connected" | "problem">): Health {
  return !device.connected ? "silent" : device.problem ? "problem" : "well";
}

/** In an address: the only device of a site without a site file is `-`. */
export const inPath = (name: string): string => encodeURIComponent(name || "-");
