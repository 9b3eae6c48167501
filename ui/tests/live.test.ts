import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { CatchUp, follows, merged } from "../src/lib/catchup";
import { Freshness } from "../src/lib/freshness";
import { ended } from "../src/lib/session.svelte";
import type { LiveEvent } from "../src/lib/types";

const event = (time: number, code = "deadman_armed"): LiveEvent => ({
  time, code, severity: "info", message: code, active: true, point: null, value: null,
});
const codes = (events: readonly LiveEvent[]): string[] => events.map((one) => one.code);

function clocks(): { steady: number; wall: number; pass: (ms: number) => void; freshness: Freshness } {
  const now = { steady: 1000, wall: 1_800_000_000_000 };
  return Object.assign(now, {
    pass(ms: number) {
      now.steady += ms;
      now.wall += ms;
    },
    freshness: new Freshness({ steady: () => now.steady, wall: () => now.wall }),
  });
}

test("an age counts on through sleep, whichever clock stands still, and never runs backwards", () => {
  const now = clocks();
  const mark = now.freshness.mark();
  now.pass(1500);
  expect(now.freshness.since(mark)).toBeCloseTo(1.5);
  expect(now.freshness.jumped()).toBe(false);
  now.wall += 60_000; // asleep: the steady clock of many browsers stands still
  expect(now.freshness.since(mark)).toBeCloseTo(61.5);
  expect(now.freshness.jumped()).toBe(true);
  expect(now.freshness.jumped()).toBe(false); // told once
  now.wall -= 3_600_000; // somebody sets the clock
  expect(now.freshness.since(mark)).toBeCloseTo(1.5);
});

test("frames that waited on the way are old, whatever the clocks of both machines say", () => {
  const now = clocks();
  const offset = -7_200_000; // the gateway's clock is two hours behind
  now.freshness.begin();
  expect(now.freshness.late(now.wall + offset - 20)).toBe(0);
  now.pass(1000);
  expect(now.freshness.late(now.wall + offset - 30)).toBeCloseTo(0.01, 2);
  now.pass(9000);
  expect(now.freshness.late(now.wall + offset - 8020)).toBeCloseTo(8, 1); // said 8 s before the page read it
  now.pass(1000);
  expect(now.freshness.late(now.wall + offset - 3_600_000)).toBe(0); // the gateway's clock was set back
  now.pass(1000);
  expect(now.freshness.late(now.wall + offset - 3_600_000)).toBeCloseTo(0, 2);
});

test("clocks that part slowly make no frame late", () => {
  const now = clocks();
  now.freshness.begin();
  let late = 0;
  for (let i = 0; i < 86_400; i++) {
    now.pass(1000);
    late = Math.max(late, now.freshness.late(now.wall - i * 0.1)); // 100 ppm: 8.6 s a day
  }
  expect(late).toBeLessThan(0.1);
});

test("events come once, newest first, however often they are told", () => {
  const known = merged([], [event(1, "a"), event(2, "b")]);
  expect(codes(known)).toEqual(["b", "a"]);
  expect(merged(known, [event(2, "b")])).toBe(known);
  expect(codes(merged(known, [event(4, "d"), event(3, "c"), event(1, "a")]))).toEqual(["d", "c", "b", "a"]);
  expect(codes(merged(known, [event(0, "old"), event(5, "e")], 2))).toEqual(["e", "b"]);
});

test("a cycle that was not seen is a gap", () => {
  expect(follows(null, 900, true)).toBe(true); // the first one of all: each page has asked for what was before
  expect(follows(7, 8, false)).toBe(true);
  expect(follows(7, 7, true)).toBe(true); // connected again within a cycle
  expect(follows(7, 8, true)).toBe(false); // the first frame of a connection has no events
  expect(follows(7, 10, false)).toBe(false);
  expect(follows(7, 1, true)).toBe(false); // the gateway was started again
});

test("a session that ends elsewhere says so", () => {
  const ana = { name: "ana", role: "viewer", language: "en", kind: "session", expires: "2026-11-29T12:00:00Z" } as const;
  const noon = Date.parse(ana.expires);
  expect(ended(ana, null, noon - 1)).toEqual({ user: "ana", why: "elsewhere" });
  expect(ended(ana, null, noon)).toEqual({ user: "ana", why: "over" });
  expect(ended(ana, { ...ana, name: "ben" }, noon)).toBeNull();
  expect(ended(null, null, noon)).toBeNull();
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("the journal is asked until it must have written the gap, and asked again when it fails", async () => {
  const taken: string[] = [];
  const asked: number[] = [];
  const answers: (() => readonly LiveEvent[])[] = [
    () => [],
    () => { throw new Error("the page's process is starting"); },
    () => [event(5, "late")],
  ];
  const catchUp = new CatchUp(
    (events) => void taken.push(...codes(events)),
    (start) => {
      asked.push(start);
      return Promise.resolve().then(answers.shift());
    },
  );
  catchUp.gap(900);
  await vi.advanceTimersByTimeAsync(100);
  catchUp.gap(1200); // a second gap: from the first one's beginning on
  await vi.advanceTimersByTimeAsync(30_000);
  expect(asked).toEqual([900, 900, 900]);
  expect(taken).toEqual(["late"]);
  catchUp.gap(5000);
  catchUp.stop();
  await vi.advanceTimersByTimeAsync(30_000);
  expect(asked.length).toBe(4);
});

/** A server: a stream to write into, and a journal. */
function server(journal: LiveEvent[]): { say: (event: string, data: object) => void; connections: number; asked: string[] } {
  const encoder = new TextEncoder();
  const held = { say: (() => {}) as (event: string, data: object) => void, connections: 0, asked: [] as string[] };
  vi.stubGlobal("fetch", (path: string, { signal }: RequestInit) => {
    held.asked.push(path);
    if (path.includes("/stream")) {
      held.connections++;
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          held.say = (name, data) => controller.enqueue(encoder.encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`));
          signal?.addEventListener("abort", () => controller.error(new DOMException("aborted", "AbortError")));
        },
      });
      return Promise.resolve(new Response(body, { status: 200 }));
    }
    const events = journal.map((one) => ({ ...one, time: new Date(one.time).toISOString() }));
    return Promise.resolve(Response.json(path.includes("/events") ? { events, next: null } : {}));
  });
  return held;
}
const packed = (column: Float64Array | Float32Array | Uint8Array): string =>
  btoa(String.fromCharCode(...new Uint8Array(column.buffer)));
const hello = { site: "s", version: "1", period: 1, points: ["soc"], units: ["%"], part: [0], server_time: 0 };
function cycle(number: number, value: number, more: object = {}): object {
  return {
    cycle: number, time: Date.now(), whole: true, values: packed(Float64Array.of(value)), quality: packed(Uint8Array.of(0)),
    ages: packed(Float32Array.of(0.2)), decision: { state: "normal" }, events: [], missed: 0, ...more,
  };
}

test("events of cycles that a slow viewer missed come from the journal; silence makes values old, without a reload", async () => {
  const { live } = await import("../src/lib/live.svelte");
  const missed = event(Date.now() + 1500, "limit_reached");
  const found = server([missed]);
  const stop = live.open("main");
  const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
  let answered = false;
  void live.answered().then(() => (answered = true));
  await pass(10);
  found.say("hello", hello);
  await pass(10);
  expect(answered).toBe(false);
  found.say("cycle", cycle(41, 50));
  await pass(10);
  expect(answered).toBe(true);
  expect(live.value("soc")).toMatchObject({ value: 50, unit: "%", stale: false });
  await pass(990);
  found.say("cycle", cycle(42, 51, { events: [event(Date.now(), "seen")] }));
  await pass(10);
  expect(codes(live.events)).toEqual(["seen"]);
  expect(found.asked.filter((path) => path.includes("/events"))).toEqual([]);
  await pass(990);
  found.say("cycle", cycle(45, 52, { missed: 2 }));
  await pass(10);
  expect(codes(live.events)).toEqual(["limit_reached", "seen"]);

  await pass(3000); // not a byte comes
  expect(live.state).toBe("broken");
  expect(live.value("soc")).toMatchObject({ value: 52, stale: true });
  expect(live.value("soc").age).toBeGreaterThan(3);
  await pass(4000); // given up
  expect(found.connections).toBe(2);
  found.say("hello", hello);
  found.say("cycle", cycle(52, 53));
  await pass(10);
  expect(live.value("soc")).toMatchObject({ value: 53, stale: false });

  for (let second = 0; second < 9; second++) {
    found.say("status", {}); // a sign of life, but no cycle
    await pass(1000);
  }
  expect(live.state).toBe("open");
  expect(live.current).toBe(false);
  found.say("cycle", cycle(53, 54, { time: Date.now() - 8000 })); // it waited on the way
  await pass(10);
  expect(live.value("soc").stale).toBe(true);
  expect(found.connections).toBe(3); // what waits behind it is as old
  stop();
  await pass(10);
  expect(live.value("soc").value).toBeNull(); // the next one to sign in begins anew
});
