/**
 * The built page holds no texts: of each `texts({ key: [en, es] })` its name stays, and what it says goes into one file
 * a language, of which a browser loads the one it shows.
 */
import { createHash } from "node:crypto";
import type { Plugin } from "vite";

const LANGUAGES = ["en", "es"] as const;

type Node = { type: string; start: number; end: number; [field: string]: unknown };

export function languages(): Plugin {
  const parts = new Map<string, Record<string, string[]>>();
  const files: Record<string, string> = {};

  return {
    name: "languages",
    apply: "build",
    enforce: "post",
    buildStart() {
      parts.clear();
    },
    transform(code, id) {
      if (!/[\\/]src[\\/].*\.(svelte|ts)$/.test(id) || !/\btexts\(/.test(code)) return null;
      let cut = code;
      for (const call of calls(this.parse(code) as unknown as Node).reverse()) {
        const [pairs] = call.arguments as Node[];
        const name = `${id.replace(/.*[\\/]src[\\/]/, "")}:${call.start}`;
        parts.set(name, said(pairs!, id));
        cut = cut.slice(0, pairs!.start) + JSON.stringify(name) + cut.slice(pairs!.end);
      }
      return cut === code ? null : { code: cut, map: null };
    },
    buildEnd(error) {
      if (error) return;
      const names = [...parts.keys()].sort();
      LANGUAGES.forEach((language, i) => {
        const all = names.map((name) => [name, mapped(parts.get(name)!, (pair) => pair[i]!)]);
        const source = JSON.stringify(Object.fromEntries(all));
        const hash = createHash("sha256").update(source).digest("base64url").slice(0, 8);
        files[language] = `assets/${language}-${hash}.json`;
        this.emitFile({ type: "asset", fileName: files[language], source });
      });
    },
    transformIndexHtml: {
      order: "post",
      handler: (html) =>
        html.replace("<html ", `<html ${LANGUAGES.map((language) => `data-${language}="/${files[language]}"`).join(" ")} `),
    },
  };
}

function mapped<A, B>(record: Record<string, A>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

/** The calls of `texts` with a catalogue, in the order in which they stand. */
function calls(node: unknown, found: Node[] = []): Node[] {
  if (Array.isArray(node)) for (const one of node) calls(one, found);
  else if (node && typeof node === "object") {
    const one = node as Node;
    const called = one.type === "CallExpression" ? (one.callee as Node) : null;
    if (called?.type === "Identifier" && called.name === "texts") found.push(one);
    for (const value of Object.values(one)) if (value && typeof value === "object") calls(value, found);
  }
  return found;
}

function said(pairs: Node, id: string): Record<string, string[]> {
  if (pairs.type !== "ObjectExpression") throw new Error(`${id}: texts() wants { key: [en, es] }`);
  return Object.fromEntries(
    (pairs.properties as Node[]).map((property) => {
      const key = property.key as Node;
      const name = String(key.type === "Identifier" ? key.name : key.value);
      return [name, ((property.value as Node).elements as Node[]).map((element) => text(element, `${id}: ${name}`))];
    }),
  );
}

function text(element: Node, where: string): string {
  const quasis = element.quasis as { value: { cooked: string } }[] | undefined;
  const value = element.type === "TemplateLiteral" && quasis?.length === 1 ? quasis[0]!.value.cooked : element.value;
  if (typeof value !== "string") throw new Error(`${where}: a text is written out, not computed`);
  return value;
}
