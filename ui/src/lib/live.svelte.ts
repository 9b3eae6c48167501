/**
 * The live picture: every cycle's values, and whether they can still be believed.
 *
 *     const stop = live.open("main");            // a page opens what it needs and closes it when it goes
 *     const soc = $derived(live.value("soc"));   // {value, unit, quality, age, stale}
 *
 * Values lie in typed arrays beside the reactive state: only `tick` changes, once a frame.
 */
import { BASE } from "./api";
import { late } from "./banner";
import { bytes, doubles, floats } from "./columns";
import { session } from "./session.svelte";
import { Parser, type Message } from "./sse";
import type { Decision, LiveEvent, Status } from "./types";

export interface Reading {
  value: number | null;
  unit: string | null;
  /** Code of the quality; 0 is good. null: there is no such point, or no frame yet. */
  quality: number | null;
  /** Seconds since it was measured, growing while nothing comes. */
  age: number | null;
  /** Older than it should be, or the stream is broken. */
  stale: boolean;
}

const NOTHING: Reading = { value: null, unit: null, quality: null, age: null, stale: true };
/** Seconds without a sign of life after which the page says so; with the half second between looks, within 3 s. */
export const SILENCE = 2.4;
const PAUSES = [500, 1000, 2000, 4000];
const EVENTS = 200;

class Live {
  /** Grows with each frame: what depends on values reads it. */
  tick = $state(0);
  /** "open": frames come. "lost": the page hears the server, the server not the gateway. "broken": no sign of life. */
  state = $state<"connecting" | "open" | "lost" | "broken" | "refused">("connecting");
  problem = $state<string | null>(null);
  /** Seconds since the last sign of life, told twice a second. */
  silence = $state(0);
  /** Seconds since the last frame, told twice a second; null: there was none yet. */
  frameAge = $state<number | null>(null);
  /** Wall clock in ms, twice a second, for ages. */
  now = $state(Date.now());
  decision = $state.raw<Decision | null>(null);
  status = $state.raw<Status | null>(null);
  events = $state.raw<LiveEvent[]>([]);
  cycle = $state<number | null>(null);
  /** UTC ms of the newest cycle. */
  time = $state<number | null>(null);
  missed = $state(0);
  period = $state(1);
  names: readonly string[] = [];
  units: readonly (string | null)[] = [];
  values = new Float64Array();
  quality = new Uint8Array();
  ages = new Float32Array();
  /** When (performance.now) each value of `ages` was told. */
  told = new Float64Array();
  index = new Map<string, number>();

  private part: number[] = [];
  private users = new Map<symbol, string>();
  private abort: AbortController | null = null;
  private channel = "";
  private heard = 0;
  private framed = 0;
  /** This connection has said hello, and whether the server hears the gateway. */
  private greeted = false;
  private silent = false;
  private clock: ReturnType<typeof setInterval> | null = null;

  /** Ask for a channel, "main" or "all"; call what is returned when it is not needed any more. */
  open(channel: "main" | "all" = "main"): () => void {
    const user = Symbol(channel);
    this.users.set(user, channel);
    this.adapt();
    return () => {
      this.users.delete(user);
      queueMicrotask(() => this.adapt()); // the next page may want the same
    };
  }

  /** Frames come: what is shown is the plant as it is now. */
  get current(): boolean {
    return this.state === "open" && this.frameAge !== null && this.frameAge <= late(this.period);
  }

  value(name: string): Reading {
    void this.tick;
    const i = this.index.get(name);
    if (i === undefined) return NOTHING;
    const value = this.values[i]!;
    const age = this.ages[i]! + Math.max(0, (this.now - this.told[i]!) / 1000);
    return {
      value: Number.isFinite(value) ? value : null,
      unit: this.units[i] ?? null,
      quality: this.quality[i]!,
      age: Number.isFinite(age) ? age : null,
      stale: !this.current || this.quality[i] !== 0,
    };
  }

  /** The points of which a name ends like this: `named("cell_voltage_3")` finds `rack_1.cell_voltage_3`. */
  has(name: string): boolean {
    void this.tick;
    return this.index.has(name);
  }

  private adapt(): void {
    const wanted = [...this.users.values()].includes("all") ? "all" : this.users.size ? "main" : "";
    if (wanted === this.channel && (this.abort !== null || wanted === "")) return;
    this.channel = wanted;
    this.abort?.abort();
    this.abort = null;
    if (!wanted) return;
    this.clock ??= setInterval(() => this.look(), 500);
    const abort = (this.abort = new AbortController());
    void this.follow(wanted, abort);
  }

  private look(): void {
    this.now = Date.now();
    this.silence = this.heard ? (performance.now() - this.heard) / 1000 : 0;
    this.frameAge = this.framed ? (performance.now() - this.framed) / 1000 : null;
    if (this.heard && this.silence > SILENCE && (this.state === "open" || this.state === "lost")) this.state = "broken";
    // a connection that is dead without saying so
    if (this.silence > 6 && this.abort && this.channel && this.state === "broken") {
      this.heard = performance.now();
      this.state = "broken";
      const channel = this.channel;
      this.abort.abort();
      const abort = (this.abort = new AbortController());
      void this.follow(channel, abort);
    }
  }

  private async follow(channel: string, abort: AbortController): Promise<void> {
    for (let attempt = 0; !abort.signal.aborted; attempt++) {
      this.greeted = false;
      try {
        const response = await fetch(`${BASE}/stream?channel=${channel}`, {
          signal: abort.signal, headers: { Accept: "text/event-stream" }, cache: "no-store",
        });
        if (!response.ok || !response.body) {
          const said = (await response.json().catch(() => ({}))) as { detail?: string };
          this.problem = said.detail ?? response.statusText;
          this.state = "refused";
          if (response.status === 401) {
            await session.load();
            return;
          }
        } else {
          attempt = 0;
          const parser = new Parser();
          const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
          for (;;) {
            const { value, done } = await reader.read();
            if (done) break;
            this.heard = performance.now();
            for (const message of parser.feed(value)) this.take(message);
            if (this.state === "broken" && this.greeted) this.state = this.silent ? "lost" : "open";
          }
          this.state = "broken";
        }
      } catch {
        if (abort.signal.aborted) return;
        this.state = "broken";
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSES[Math.min(attempt, PAUSES.length - 1)]));
    }
  }

  private take(message: Message): void {
    const data = JSON.parse(message.data) as Record<string, unknown>;
    if (message.event === "hello") this.begin(data);
    else if (message.event === "cycle") this.frame(data);
    else if (message.event === "status") this.status = data as unknown as Status;
    else if (message.event === "lost") {
      this.greeted = this.silent = true;
      this.state = "lost";
      this.problem = String(data.problem ?? "");
    }
  }

  private begin(data: Record<string, unknown>): void {
    this.names = data.points as string[];
    this.units = data.units as (string | null)[];
    this.part = data.part as number[];
    this.period = data.period as number;
    const n = this.names.length;
    this.values = new Float64Array(n).fill(NaN);
    this.quality = new Uint8Array(n).fill(255);
    this.ages = new Float32Array(n).fill(NaN);
    this.told = new Float64Array(n);
    this.index = new Map(this.names.map((name, i) => [name, i]));
    this.problem = null;
    this.silent = false;
    this.state = "connecting"; // its first frame opens it
    this.tick++;
  }

  private frame(data: Record<string, unknown>): void {
    const values = doubles(data.values as string);
    const quality = bytes(data.quality as string);
    const ages = floats(data.ages as string);
    const now = Date.now();
    if (data.whole) {
      this.values = values;
      this.quality = quality;
      this.ages = ages;
      this.told.fill(now);
    } else {
      this.part.forEach((at, i) => {
        this.values[at] = values[i]!;
        this.quality[at] = quality[i]!;
        this.ages[at] = ages[i]!;
        this.told[at] = now;
      });
    }
    this.cycle = data.cycle as number;
    this.time = data.time as number;
    this.missed = data.missed as number;
    this.decision = data.decision as Decision;
    const events = data.events as LiveEvent[];
    if (events.length) this.events = [...events, ...this.events].slice(0, EVENTS);
    this.framed = performance.now();
    this.frameAge = 0;
    this.greeted = true;
    this.silent = false;
    this.state = "open";
    this.tick++;
  }
}

export const live = new Live();
