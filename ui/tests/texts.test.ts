import { expect, test } from "vitest";

import { catalogues } from "../src/lib/i18n.svelte";

const modules = import.meta.glob("../src/**/*.{svelte,ts}");
const sources = import.meta.glob("../src/**/*.svelte", { query: "?raw", import: "default", eager: true }) as Record<
  string,
  string
>;

test("catalogues are made once, in module scripts", () => {
  for (const [path, source] of Object.entries(sources))
    expect(source.replace(/<script module[\s\S]*?<\/script>/, ""), path).not.toMatch(/= texts\(/);
});

test("every text stands in both languages, with the same places to fill", async () => {
  for (const [path, load] of Object.entries(modules)) if (!path.endsWith("main.ts")) await load();
  expect(catalogues.length).toBeGreaterThan(3);
  const places = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1]!).sort();
  for (const catalogue of catalogues)
    for (const [key, [en, es]] of Object.entries(catalogue)) {
      expect(en.trim(), key).not.toBe("");
      expect(es.trim(), key).not.toBe("");
      expect(places(es), key).toEqual(places(en));
    }
}, 60_000); // it loads every page
