/**
 * Libraries without what this page never asks of them: each cut folds in a constant, and the minifier drops what hangs
 * on it. Their versions are pinned, and a place that is not found fails the build.
 */
import type { Plugin } from "vite";

type Cut = readonly [what: RegExp, instead: string];

/** Its public methods stay: without some of them, charts that were taken away were never freed. */
const UPLOT: readonly Cut[] = [
  // scattered data
  [/(?<![\w.])mode == 2/g, "false"],
  [/(?<![\w.])mode == 1/g, "true"],
  // scales that are not linear
  [/\b(?:\w+\.)?distr\s*(?:==\s*(?:2|3|4|100)|>= 3)(?!\d)/g, "false"],
  [/\b(?:\w+\.)?distr == 1(?!\d)/g, "true"],
  [/xScaleDistr == \d/g, "false"],
  // time that goes upwards
  [/\bscaleX\.ori == 0/g, "true"],
  [/\bscaleX\.ori == 1/g, "false"],
  // the legend, and series that draw the eye when the cursor is near
  [/(?<=const showLegend = )legend\.show/, "false"],
  [/(?<=const cursorFocus = )focus\.prox >= 0/, "false"],
  // time in milliseconds, dates in English: the page writes its own
  [/(?<=const ms = )opts\.ms \|\| 1e-3/, "1e-3"],
  [/\bms == 1\b(?= \? (?:time|_time))/g, "false"],
  [/const \[ timeIncrsMs.*\n/, ""],
  [/(?<=const _timeAxisVals {3}= ).*(?=;)/, "null"],
  [/(?<=const _timeSeriesVal {2}= ).*(?=;)/, "null"],
  [/timeSeriesVal\(_tzDate, timeSeriesStamp\(sv, _fmtDate\)\)/, "sv"],
  [/timeAxisVals\(_tzDate, timeAxisStamps\(av, _fmtDate\)\)/, "av"],
  [/timeAxisVal\(_tzDate, av\)/, "av"],
  [/(?<=const _timeAxisStamps = \[)[^;]*(?=\];)/, ""],
  [/const (?:days|months)3? = .*?;\n/gs, ""],
  [/const engNames = \{.*?\};/s, "const engNames = null;"],
  // charts that follow each other's cursor
  [/\tif \(syncOpts\.match\.length == 2\).*?self\.pub = pub;/s, ""],
  [/const syncOpts = .*?, cursor\.sync\);/s, ""],
  [/\tevents\["setSeries"\] = .*?\n\t};/s, ""],
  [/\w*[sS]ync\.(?:sub|unsub)\(self\);/g, ""],
  [/pubSync\(.*\);/g, "0;"],
  [/syncKey != null/g, "false"],
  [/syncOpts\.setSeries/g, "false"],
  [/\bsrc != null/g, "false"],
  [/\bsrc == null/g, "true"],
  [/(?<!\w)e != null/g, "true"],
  // kinds of lines that nobody draws
  [/\(paths\.(?:bars|spline)\s*= \w+\);/g, ""],
];

/** No server has drawn this page before: there is nothing to take over from it. */
const HYDRATION: readonly Cut[] = [
  [/export let hydrating = false/, "export const hydrating = false"],
  [/\thydrating = value;/, ""],
];

export const lean: Plugin = {
  name: "lean",
  apply: "build",
  transform: {
    filter: { id: /uPlot\.esm\.js|svelte\/src\/internal\/client\/dom\/hydration\.js/ },
    handler(code, id) {
      return (id.includes("uPlot") ? UPLOT : HYDRATION).reduce((rest, [what, instead]) => {
        const cut = rest.replace(what, instead);
        if (cut === rest) throw new Error(`lean.ts: ${id} has no ${what} any more`);
        return cut;
      }, code);
    },
  },
};
