import type { Sink } from "../../lib/types";

export interface Cycle {
  cycles: number;
  missed: number;
  verified: number;
  late_p50: number;
  late_p99: number;
  late_max: number;
  duration_max?: number;
}

export interface Heartbeat {
  manager: boolean;
  interval: number | null;
  earned: boolean;
  why_not: string | null;
  sent: number;
  withheld: number;
  problem: string | null;
}

export interface Journal {
  committed: number;
  queued: number;
  records: number;
  dropped_queue: number;
  dropped_space: number;
  dropped_events: number;
  errors: number;
  last_error: string | null;
  last_commit_age: number | null;
  size_bytes: number;
  lost: number;
  oldest?: string | number | null;
}

export interface BlackBox {
  recording: boolean;
  seconds_held: number;
  ring_bytes: number;
  files: number;
  file_bytes: number;
  suppressed: number;
  calls_dropped: number;
  problem: string | null;
}

export interface Process {
  pid: number;
  rss: number | null;
  /** Share of one core since it began. */
  cpu: number | null;
}

export type Publisher = Sink & { delivered?: number; missed?: number; rate?: number; dead_letters?: number };

export interface SystemAnswer {
  cycle: Cycle;
  heartbeat: Heartbeat;
  journal: Journal;
  history: { size: number; points: number; behind: number; problem: string | null };
  publishers: Publisher[];
  black_box: BlackBox;
  disk: { free: number; total: number; written_per_day: number | null; journal_per_day?: number | null; wear: number | null };
  process: { control: Process | null; service: Process | null; api: Process | null };
  uptime: number;
  version: string;
  python: string;
}
