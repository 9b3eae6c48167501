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

export interface Times {
  p50: number;
  p99: number;
  max: number;
}

/** The cycles of the last minutes. */
export interface Recent {
  cycles: number;
  seconds: number;
  late: Times | null;
  duration: Times | null;
  edges: number[];
  counts: number[];
}

export interface Storage {
  oldest: string | null;
  newest: string | null;
  written: { size: number; seconds: number; per_day: number | null };
  sync: (Times & { count: number }) | null;
}

export interface Waiting {
  name: string;
  oldest_waiting: number | null;
  delivered: string | null;
  failed: string | null;
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
  /** Bytes that it caused to be written to disks since it began. */
  written: number | null;
}

export type Publisher = Sink & { delivered?: number; missed?: number; rate?: number; dead_letters?: number; connected?: boolean | null; newest_error?: string | null };

export interface SystemAnswer {
  cycle: Cycle;
  recent: Recent;
  heartbeat: Heartbeat;
  journal: Journal;
  storage: Storage;
  history: {
    size: number;
    points: number;
    fresh: number;
    levels: { label: string; step: number; size: number; oldest: string | null }[];
    behind: number;
    problem: string | null;
  };
  publishers: Publisher[];
  waiting: Waiting[];
  black_box: BlackBox;
  disk: { free: number; total: number; device: string | null; end_of_life: string | null; written_per_day: number | null; journal_per_day?: number | null; wear: number | null };
  process: { control: Process | null; service: Process | null; api: Process | null };
  uptime: number;
  version: string;
  python: string;
}
