/**
 * How old what came is, by clocks that each lie in their own way.
 *
 * A steady clock (`performance.now`) may stand still while the computer sleeps; the wall clock goes on, but people and
 * time servers set it. So an age is the larger of both. And what comes now may have been said long ago: after sleep, or
 * over a link that is slower than the stream, old frames wait in buffers on the way. That is told by how much longer a
 * frame was under way than the fastest one.
 */
export interface Clocks {
  /** ms, never set. */
  steady: () => number;
  /** ms since 1970. */
  wall: () => number;
}
export const CLOCKS: Clocks = { steady: () => performance.now(), wall: () => Date.now() };

export interface Mark {
  steady: number;
  wall: number;
}

/** ms by which the clocks may part between two looks; more: the computer slept, or its clock was set. */
const PARTED = 1000;
/** How fast clocks of two machines may part without a frame being called late. */
const DRIFT = 2e-4;

export class Freshness {
  private apart: number;
  /** The shortest time under way, in ms plus what the clocks of both machines differ by; null: no frame yet. */
  private fastest: number | null = null;
  private sent = 0;
  private at = 0;

  constructor(private readonly clocks: Clocks = CLOCKS) {
    this.apart = clocks.wall() - clocks.steady();
  }

  mark(): Mark {
    return { steady: this.clocks.steady(), wall: this.clocks.wall() };
  }

  /** Seconds since a mark. */
  since(mark: Mark): number {
    return Math.max(0, this.clocks.steady() - mark.steady, this.clocks.wall() - mark.wall) / 1000;
  }

  /** Whether the computer slept, or its clock was set, since the last call: what waits in buffers is old. */
  jumped(): boolean {
    const apart = this.clocks.wall() - this.clocks.steady();
    const jump = Math.abs(apart - this.apart);
    this.apart = apart;
    return jump > PARTED;
  }

  /** A connection begins: nothing is known of how long frames are under way. */
  begin(): void {
    this.fastest = null;
  }

  /** Seconds that a frame, said at `time` (UTC ms of the gateway), came later than the fastest one. */
  late(time: number): number {
    const now = this.clocks.wall();
    const way = now - time;
    if (this.fastest === null || time < this.sent) this.fastest = way; // or the gateway's clock was set back
    else this.fastest = Math.min(way, this.fastest + DRIFT * (now - this.at));
    this.sent = time;
    this.at = now;
    return (way - this.fastest) / 1000;
  }
}
