import svelte from "eslint-plugin-svelte";
import globals from "globals";
import ts from "typescript-eslint";

export default ts.config(
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
  { files: ["**/*.svelte", "**/*.svelte.ts"], languageOptions: { parserOptions: { parser: ts.parser } } },
  {
    rules: {
      "svelte/no-at-html-tags": "error",
      "svelte/no-inline-styles": "off",
      "svelte/no-navigation-without-resolve": "off",
    },
  },
  { ignores: ["node_modules", "dist"] },
);
