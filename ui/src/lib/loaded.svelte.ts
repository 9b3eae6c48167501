/**
 * One answer of the API, how old it is, and what went wrong with the newest try.
 *
 *     const devices = new Loaded<{ devices: Device[] }>(() => "/devices");
 *     $effect(() => devices.watch(5));   // at once, then each 5 s, until the page goes
 */
import { untrack } from "svelte";

import { get, Problem } from "./api";
import { locale } from "./i18n.svelte";

export class Loaded<T> {
  /** The newest answer; it stays when a later try fails. */
  data = $state.raw<T | null>(null);
  problem = $state.raw<Problem | null>(null);
  busy = $state(false);
  /** When (ms since 1970, this browser's clock) `data` came. */
  at = $state<number | null>(null);
  private abort: AbortController | null = null;

  constructor(private readonly path: () => string) {}

  async load(): Promise<void> {
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    const late = setTimeout(() => abort.abort("late"), 20_000);
    this.busy = true;
    try {
      const data = await get<T>(this.path(), abort.signal);
      if (abort !== this.abort) return;
      this.data = data;
      this.at = Date.now();
      this.problem = null;
    } catch (error) {
      if (abort !== this.abort) return;
      this.problem = error instanceof Problem ? error : new Problem(0, "unreachable", "the gateway does not answer");
    } finally {
      clearTimeout(late);
      if (abort === this.abort) this.busy = false;
    }
  }

  /** Loads now, when the language changes, and each `seconds` unless the page is hidden or a load is under way. */
  watch(seconds: number): () => void {
    void locale.language; // tracked by the effect that calls this
    untrack(() => void this.load());
    const clock = setInterval(() => {
      if (!this.busy && !document.hidden) void this.load();
    }, seconds * 1000);
    return () => {
      clearInterval(clock);
      const abort = this.abort;
      this.abort = null;
      abort?.abort();
    };
  }

  /** Forgets what it has, because the question has changed. */
  forget(): void {
    this.data = null;
    this.problem = null;
    this.at = null;
  }
}
