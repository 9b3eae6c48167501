import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

import { languages } from "./languages";
import { seal } from "./seal";

// `vite` alone serves the page for its developers; the API comes from a running gateway.
const gateway = process.env.BESSAI_URL ?? "http://127.0.0.1:8080";

/**
 * Four files instead of sixteen: what pages repeat is compressed once, and what they import is named once. The first
 * view needs `start` alone; the others come when one of their pages is opened.
 */
const FILES = [
  {
    name: "start",
    test: /src[\\/](lib|components|App|pages[\\/](Overview|overview|Access))\b|node_modules[\\/](svelte|esm-env|clsx)\b|preload-helper/,
  },
  { name: "operate", test: /pages[\\/](why|control|alarms|cells)\b/i },
  { name: "manage", test: /pages[\\/](grid|devices|system|users|audit)\b/i },
];

export default defineConfig({
  plugins: [svelte(), languages(), seal()],
  build: {
    outDir: process.env.BESSAI_PAGE_DIR ?? "../src/bessai/interfaces/api/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the content policy allows no data: scripts or styles
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: { output: { codeSplitting: { includeDependenciesRecursively: false, groups: FILES } } },
  },
  server: { proxy: { "/api": gateway, "/healthz": gateway } },
  ...(process.env.VITEST ? { resolve: { conditions: ["browser"] } } : {}),
  test: { environment: "jsdom", setupFiles: ["tests/setup.ts"], include: ["tests/**/*.test.ts"], testTimeout: 60_000 },
});
