/** Every file of the page compressed once, when it is built, as strongly as can be; the gateway only sends it. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/** Less than this fits in one packet anyway. */
const LEAST = 1000;

export function seal(): Plugin {
  let target = "";
  return {
    name: "seal",
    apply: "build",
    configResolved(config) {
      target = resolve(config.root, config.build.outDir);
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
