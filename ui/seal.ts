/** Every file of the page compressed once, when it is built, as strongly as can be; the gateway only sends it. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/** Less than this fits in one packet anyway. */
const LEAST = 1000;
/** V8 compiles the first view's code whole, beside the main thread, and not function by function as the page begins. */
const HINT = "//# allFunctionsCalledOnLoad\n";

export function seal(): Plugin {
  let target = "";
  return {
    name: "seal",
    apply: "build",
    configResolved(config) {
      target = resolve(config.root, config.build.outDir);
    },
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        for (const part of Object.values(bundle)) if (part.type === "chunk" && part.name === "start") part.code = HINT + part.code;
      },
    },
    closeBundle() {
      for (const name of readdirSync(target, { recursive: true, encoding: "utf-8" })) {
        const path = join(target, name);
        if (!/\.(js|css|json|html|svg|webmanifest)$/.test(name) || statSync(path).size < LEAST) continue;
        const plain = readFileSync(path);
        writeFileSync(`${path}.gz`, gzipSync(plain, { level: 9, memLevel: 7 }));
        writeFileSync(`${path}.br`, brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } }));
      }
    },
  };
}
