/** Light or dark: as the system says, until somebody chooses. */
import { read, write } from "./i18n.svelte";

export type Choice = "system" | "light" | "dark";
const KEY = "bessai.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

class Theme {
  choice = $state<Choice>("system");
  /** What is shown; charts draw themselves anew when it changes. */
  shown = $state<"light" | "dark">("light");

  constructor() {
    const kept = read(KEY);
    this.choice = kept === "light" || kept === "dark" ? kept : "system";
    dark.addEventListener("change", () => this.apply());
    this.apply();
  }

  choose(choice: Choice): void {
    this.choice = choice;
    write(KEY, choice);
    this.apply();
  }

  private apply(): void {
    this.shown = this.choice === "system" ? (dark.matches ? "dark" : "light") : this.choice;
    document.documentElement.dataset.theme = this.shown;
  }
}

export const theme = new Theme();

/** A colour of the design tokens, for canvases: `token("battery")`. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
