import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

const files = new Map();

/** A component's class: 4 letters instead of 13, on each of its elements; two components never have the same. */
function cssHash({ hash, filename }) {
  const name = `s${hash(filename.replace(/.*\bsrc[\\/]/, "")).slice(-4)}`;
  if ((files.get(name) ?? filename) !== filename) throw new Error(`${filename} and ${files.get(name)} share the class ${name}: rename one`);
  files.set(name, filename);
  return name;
}

export default {
  preprocess: vitePreprocess(),
  compilerOptions: { runes: true, cssHash },
};
