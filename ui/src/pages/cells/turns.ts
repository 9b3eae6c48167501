/** Drawings in turns: as many a frame of the screen as leave time for the rest of it, so that none comes late. */
const SHARE = 5; // ms of the 16 that a frame has

const waiting = new Set<() => void>();
let frame = 0;

/** Draws soon, once, however often it is asked for until then. */
export function soon(draw: () => void): void {
  waiting.add(draw);
  frame ||= requestAnimationFrame(turn);
}

/** It is not wanted any more. */
export function never(draw: () => void): void {
  waiting.delete(draw);
}

function turn(): void {
  frame = 0;
  const end = performance.now() + SHARE;
  for (const draw of waiting) {
    waiting.delete(draw);
    draw();
    if (performance.now() >= end) break;
  }
  if (waiting.size) frame ||= requestAnimationFrame(turn);
}
