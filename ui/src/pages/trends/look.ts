/** How the lines of a chart are told apart: colours of the Okabe–Ito set, and a dash pattern of its own for each. */
export interface Look {
  colour: string;
  dash: number[];
}

const LIGHT = ["#0067a5", "#c04a00", "#00734f", "#8a4b7d", "#8a6500", "#16202a", "#2a8fbd", "#a33b3b"];
const DARK = ["#62c1ff", "#ff9d57", "#4fd1a5", "#e0a3d3", "#ffd166", "#e8eef4", "#9ad4f0", "#ff8b82"];
const DASHES = [[], [10, 4], [3, 3], [12, 3, 3, 3], [6, 3], [16, 4], [2, 5], [10, 3, 2, 3, 2, 3]];

export function look(i: number, theme: "light" | "dark"): Look {
  return { colour: (theme === "dark" ? DARK : LIGHT)[i % 8]!, dash: DASHES[i % 8]! };
}

/** A colour with some transparency: `#rrggbb` and 0 to 1. */
export function faint(colour: string, alpha: number): string {
  return `${colour}${Math.round(alpha * 255).toString(16).padStart(2, "0")}`;
}

/** Units in the order in which they come; each gets an axis. "" stands for none. */
export function axes(units: readonly (string | null)[]): string[] {
  return [...new Set(units.map((unit) => unit ?? ""))];
}
