/**
 * Two languages, side by side: a text is a pair, so that none can be missing in one of them.
 *
 *     const t = texts({ age: ["{n} s old", "hace {n} s"] });
 *     t("age", { n: 3 })
 */
export type Language = "en" | "es";
export type Pair = readonly [en: string, es: string];
export type Both = { en: string; es: string };

const KEY = "bessai.language";

function first(): Language {
  const kept = read(KEY);
  if (kept === "en" || kept === "es") return kept;
  for (const wanted of navigator.languages ?? [navigator.language]) {
    if (wanted.toLowerCase().startsWith("es")) return "es";
    if (wanted.toLowerCase().startsWith("en")) return "en";
  }
  return "en";
}

class Locale {
  language = $state<Language>(first());
  /** For `Intl`: Chile's way of writing numbers in Spanish. */
  tag = $derived(this.language === "es" ? "es-CL" : "en-GB");

  /** Somebody chose it: the browser keeps it. */
  choose(language: Language): void {
    this.show(language);
    write(KEY, language);
  }

  /** The language of who signed in, unless somebody chose one; the next one to sign in has another. */
  adopt(language: Language): void {
    if (read(KEY) === null) this.show(language);
  }

  private show(language: Language): void {
    this.language = language;
    document.documentElement.lang = language;
  }
}

export const locale = new Locale();
document.documentElement.lang = locale.language;

/** Every catalogue that was made; a test looks through them. */
export const catalogues: Record<string, Pair>[] = [];

export type Texts<K extends string> = (key: K, values?: Record<string, string | number>) => string;

export function texts<K extends string>(pairs: Record<K, Pair>): Texts<K> {
  catalogues.push(pairs);
  return (key, values) => fill(pairs[key][locale.language === "es" ? 1 : 0], values);
}

/** A text of the server, which brings both languages. */
export function said(both: Both | null | undefined, otherwise = ""): string {
  return both ? (locale.language === "es" ? both.es : both.en) || otherwise : otherwise;
}

function fill(text: string, values: Record<string, string | number> = {}): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // a browser that keeps nothing
  }
}

export function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // as above: the choice lasts until the page is closed
  }
}
