/** The server's words for its names: fetched once. */
import { get } from "./api";
import { said, texts, type Both } from "./i18n.svelte";

const t = texts({
  request: ["{name} asked for narrower bounds and outranks the winner", "{name} pidió cotas más estrechas y tiene prioridad sobre quien ganó"],
  impossible: ["the bounds of {name} leave nothing and were passed over", "las cotas de {name} no dejan nada y se omitieron"],
  other: ["{name} is near or beyond its limit", "{name} está cerca de su límite o más allá"],
});

interface Answer {
  limits: Record<string, Both>;
  [more: string]: unknown;
}

class Vocabulary {
  answer = $state.raw<Answer | null>(null);
  private asked = false;

  /** Asks for the words, until they came. */
  async load(): Promise<void> {
    if (this.asked) return;
    this.asked = true;
    try {
      this.answer = await get<Answer>("/vocabulary");
    } catch {
      this.asked = false;
    }
  }

  /** What one name of `limited_by` means. */
  limit(name: string): string {
    const own = this.answer?.limits[name];
    if (own) return said(own);
    const [kind = "", ...rest] = name.split(":");
    if (rest.length && (kind === "request" || kind === "impossible")) return t(kind, { name: rest.join(":") });
    return t("other", { name: name.replaceAll("_", " ") });
  }
}

export const vocabulary = new Vocabulary();
