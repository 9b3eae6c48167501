import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { never, soon } from "../src/pages/cells/turns";

let now = 0;
let frames: (() => void)[] = [];

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", (call: () => void) => frames.push(call));
  vi.spyOn(performance, "now").mockImplementation(() => now);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function screen(): void {
  const due = frames;
  frames = [];
  for (const call of due) call();
}

test("a frame of the screen gets no more drawings than fit into its share", () => {
  const drawn: number[] = [];
  for (let i = 0; i < 6; i++)
    soon(() => {
      drawn.push(i);
      now += 2;
    });
  screen();
  expect(drawn).toEqual([0, 1, 2]);
  screen();
  expect(drawn).toEqual([0, 1, 2, 3, 4, 5]);
  expect(frames).toEqual([]);
});

test("a drawing that is asked for twice, or not wanted any more, is not done twice, or not at all", () => {
  const one = vi.fn();
  const gone = vi.fn();
  soon(one);
  soon(gone);
  soon(one);
  never(gone);
  screen();
  screen();
  expect(one).toHaveBeenCalledTimes(1);
  expect(gone).not.toHaveBeenCalled();
});
