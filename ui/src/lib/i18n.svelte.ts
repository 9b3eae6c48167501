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
    void this.show(language);
    write(KEY, language);
  }

  /** The language of who signed in, unless somebody chose one; the next one to sign in has another. */
  adopt(language: Language): void {
    if (read(KEY) === null) void this.show(language);
  }

  private async show(language: Language): Promise<void> {
    this.#wanted = language;
    const found = await loaded(language);
    if (!found || this.#wanted !== language) return; // the gateway is away: what is shown stays readable
    if (typeof found === "object") words = found;
    this.language = language;
    document.documentElement.lang = language;
  }
  #wanted: Language = this.language;

  /** Resolves when the page has words to show. */
  async ready(): Promise<void> {
    for (;;) {
      const found = await loaded(this.language);
      if (typeof found === "object") words = found;
      if (found) return;
      await new Promise((again) => setTimeout(again, 1500));
    }
  }
}

type Words = Record<string, Record<string, string>>;
/** Of the built page: one language, from the file that `languages.ts` made. */
let words = $state.raw<Words>({});

const files: Partial<Record<Language, Promise<Words | boolean>>> = {};

/** What `fetched` brings, kept when it came. */
function loaded(language: Language): Promise<Words | boolean> {
  files[language] ??= fetched(language).then((found) => {
    if (!found) delete files[language];
    return found;
  });
  return files[language];
}

/** The file of a language, true where there is none because the texts stand in the code, false when it cannot be had. */
async function fetched(language: Language): Promise<Words | boolean> {
  const file = document.documentElement.dataset[language];
  if (!file) return true;
  try {
    const answer = await fetch(file);
    return answer.ok && ((await answer.json()) as Words);
  } catch {
    return false;
  }
}

export const locale = new Locale();
document.documentElement.lang = locale.language;

/** Every catalogue that was made; a test looks through them. */
export const catalogues: Record<string, Pair>[] = [];

export interface Texts<K extends string> {
  (key: K, values?: Record<string, string | number>): string;
  /** The text of a name that comes from elsewhere, null when there is none. */
  find(name: string): string | null;
  keys(): string[];
}

export function texts<K extends string>(pairs: Record<K, Pair>): Texts<K> {
  const part: unknown = pairs;
  const built = typeof part === "string"; // the built page has the name of its part of the file instead
  if (!built) catalogues.push(pairs);
  const all = (): Record<string, string | Pair> => (built ? (words[part] ?? {}) : pairs);
  const find = (name: string): string | null => {
    const text = Object.hasOwn(all(), name) ? all()[name]! : null;
    return text === null || typeof text === "string" ? text : text[locale.language === "es" ? 1 : 0];
  };
  return Object.assign((key: K, values?: Record<string, string | number>) => fill(find(key) ?? "", values), {
    find,
    keys: () => Object.keys(all()),
  });
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
