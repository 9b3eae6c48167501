/**
 * The live picture: every cycle's values, and whether they can still be believed.
 *
 *     const stop = live.open("main");            // a page opens what it needs and closes it when it goes
 *     const soc = $derived(live.value("soc"));   // {value, unit, quality, age, stale}
 *
 * Values lie in typed arrays beside the reactive state: only `tick` changes, once a frame.
 */
import { untrack } from "svelte";

import { BASE } from "./api";
import { late } from "./banner";
import { CatchUp, follows, merged } from "./catchup";
import { bytes, doubles, floats } from "./columns";
import { Freshness, type Mark } from "./freshness";
import { locale } from "./i18n.svelte";
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
/** The same after which a connection is given up: it is dead, or what it brings waited in buffers while we slept. */
const DEAD = 6;
/** Seconds between two connections that are given up because their frames come late: the link may be that slow. */
const PATIENCE = 30;
const PAUSES = [500, 1000, 2000, 4000];

class Live {
  /** Grows with each frame: what depends on values reads it. */
  tick = $state(0);
  /** "open": frames come. "lost": the page hears the server, the server not the gateway. "broken": no sign of life. */
  state = $state<"connecting" | "open" | "lost" | "broken" | "refused">("connecting");
  problem = $state<string | null>(null);
  /** Code of the refusal. */
  code = $state<string | null>(null);
  /** Seconds since the newest frame was said, told twice a second; null: there was none yet. */
  frameAge = $state<number | null>(null);
  /** Wall clock in ms, twice a second, for ages. */
  now = $state(Date.now());
  decision = $state.raw<Decision | null>(null);
  status = $state.raw<Status | null>(null);
  /** Newest first; those of cycles that were missed come from the journal. */
  events = $state.raw<readonly LiveEvent[]>([]);
  cycle = $state<number | null>(null);
  /** UTC ms of the newest cycle. */
  time = $state<number | null>(null);
  period = $state(1);
  names: readonly string[] = [];
  units: readonly (string | null)[] = [];
  values = new Float64Array();
  quality = new Uint8Array();
  ages = new Float32Array();
  /** When (Date.now) each value of `ages` was true. */
  told = new Float64Array();
  index = new Map<string, number>();

  private part: number[] = [];
  private users = new Map<symbol, string>();
  private abort: AbortController | null = null;
  private channel = "";
  private fresh = new Freshness();
  /** The last sign of life, the newest frame, the newest attempt to connect, and the last one because of late frames. */
  private heard: Mark = this.fresh.mark();
  private framed: Mark | null = null;
  private tried: Mark = this.heard;
  private hasty: Mark | null = null;
  private behind = 0;
  /** This connection has said hello, and whether the server hears the gateway. */
  private greeted = false;
  private silent = false;
  /** The next frame is the first after a hello. */
  private first = true;
  private missed = 0;
  private catchUp = new CatchUp((events) => (this.events = merged(this.events, events)));
  private clock: ReturnType<typeof setInterval> | null = null;
  private hurry: () => void = () => {};

  constructor() {
    // timers of a page that nobody sees are slowed down, and stand still while the computer sleeps
    const seen = (): void => {
      if (document.hidden || !this.channel) return;
      this.look();
      this.hurry();
    };
    document.addEventListener("visibilitychange", seen);
    for (const name of ["pageshow", "online", "focus"]) addEventListener(name, seen);
  }

  /** Ask for a channel, "main" or "all"; call what is returned when it is not needed any more. */
  open(channel: "main" | "all" = "main"): () => void {
    const user = Symbol(channel);
    this.users.set(user, channel);
    untrack(() => this.adapt());
    return () => {
      this.users.delete(user);
      queueMicrotask(() => this.adapt()); // the next page may want the same
    };
  }

  /** Resolves when something is known to show: a frame, or that none comes. */
  answered(): Promise<void> {
    return new Promise((known) => {
      const stop = $effect.root(() => {
        $effect(() => {
          if (this.state === "connecting") return;
          known();
          queueMicrotask(stop);
        });
      });
    });
  }

  /** Another language was chosen: what is said comes anew in it, the events that are kept too. */
  translate(): void {
    if (!this.channel) return;
    const oldest = this.events.at(-1)?.time;
    this.events = [];
    if (oldest !== undefined) this.catchUp.gap(oldest);
    this.connect();
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
    if (!this.channel || !wanted) this.forget();
    this.channel = wanted;
    this.abort?.abort();
    this.abort = null;
    if (!wanted) return;
    this.clock ??= setInterval(() => this.look(), 500);
    this.connect();
  }

  /** What was seen before is nobody's any more: perhaps another person signs in next. */
  private forget(): void {
    this.catchUp.stop();
    this.state = "connecting";
    this.heard = this.fresh.mark();
    this.framed = this.frameAge = this.decision = this.status = this.cycle = this.time = this.problem = null;
    this.events = [];
    this.index.clear();
    this.tick++;
  }

  /** A new connection instead of the one there is. */
  private connect(): void {
    this.abort?.abort();
    this.hurry();
    const abort = (this.abort = new AbortController());
    void this.follow(this.channel, abort);
  }

  private look(): void {
    this.now = Date.now();
    const jumped = this.fresh.jumped();
    if (!this.channel) return;
    const silence = this.fresh.since(this.heard);
    this.frameAge = this.framed && this.behind + this.fresh.since(this.framed);
    if (silence > SILENCE && this.state !== "refused") this.state = "broken";
    const dead = silence > DEAD && this.fresh.since(this.tried) > DEAD;
    if (jumped || dead) this.connect();
  }

  private async follow(channel: string, abort: AbortController): Promise<void> {
    for (let attempt = 0; !abort.signal.aborted; attempt++) {
      this.greeted = false;
      this.tried = this.fresh.mark();
      try {
        const response = await fetch(`${BASE}/stream?channel=${channel}`, {
          signal: abort.signal, headers: { Accept: "text/event-stream", "Accept-Language": locale.language }, cache: "no-store",
        });
        if (!response.ok || !response.body) {
          const said = (await response.json().catch(() => ({}))) as { code?: string; detail?: string };
          if (response.status === 401) {
            await session.load(); // ends this when nobody is signed in any more
          } else {
            this.problem = said.detail ?? response.statusText;
            this.code = said.code ?? null;
            this.state = "refused";
          }
        } else {
          this.heard = this.fresh.mark();
          this.fresh.begin();
          if (await this.read(response.body.pipeThrough(new TextDecoderStream()).getReader(), abort.signal)) attempt = 0;
          if (abort.signal.aborted) return;
          this.state = "broken";
          void session.load().catch(() => undefined); // the server ends it when the role has changed
        }
      } catch {
        if (abort.signal.aborted) return;
        this.state = "broken";
      }
      await new Promise<void>((resolve) => {
        this.hurry = resolve;
        setTimeout(resolve, PAUSES[Math.min(attempt, PAUSES.length - 1)]);
      });
    }
  }

  /** Takes what comes, to its end. Returns whether anything did. */
  private async read(reader: ReadableStreamDefaultReader<string>, signal: AbortSignal): Promise<boolean> {
    const parser = new Parser();
    for (let any = false; ; any = true) {
      const { value, done } = await reader.read();
      if (done) return any;
      if (this.fresh.jumped() || this.fresh.since(this.heard) > DEAD) this.connect();
      if (signal.aborted) return any;
      this.heard = this.fresh.mark();
      for (const message of parser.feed(value)) this.take(message);
      if (this.state === "broken" && this.greeted) this.state = this.silent ? "lost" : "open";
      if (this.behind > DEAD && (!this.hasty || this.fresh.since(this.hasty) > PATIENCE)) {
        this.hasty = this.fresh.mark();
        this.connect();
      }
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
    this.first = true;
    this.state = "connecting"; // its first frame opens it
    this.tick++;
  }

  private frame(data: Record<string, unknown>): void {
    const values = doubles(data.values as string);
    const quality = bytes(data.quality as string);
    const ages = floats(data.ages as string);
    const time = data.time as number;
    const behind = (this.behind = this.fresh.late(time));
    const now = Date.now() - behind * 1000;
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
    const cycle = data.cycle as number;
    const missed = data.missed as number;
    const gap = !follows(this.cycle, cycle, this.first) || (!this.first && missed > this.missed);
    if (gap && this.time !== null) this.catchUp.gap(this.time);
    this.first = false;
    this.missed = missed;
    this.cycle = cycle;
    this.time = time;
    this.decision = data.decision as Decision;
    this.events = merged(this.events, data.events as LiveEvent[]);
    this.framed = this.fresh.mark();
    this.frameAge = behind;
    this.greeted = true;
    this.silent = false;
    this.state = "open";
    this.tick++;
  }
}

export const live = new Live();
