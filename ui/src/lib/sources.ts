/** Who asks for power, in words; a source that people named themselves keeps its name. */
import { texts } from "./i18n.svelte";

const t = texts({
  schedule: ["the schedule", "el programa"],
  "grid.active": ["the grid operator", "el operador de la red"],
  "grid.frequency": ["the answer to the frequency", "la respuesta a la frecuencia"],
  "grid.reactive": ["the answer to the voltage", "la respuesta a la tensión"],
});
const KNOWN = ["schedule", "grid.active", "grid.frequency", "grid.reactive"] as const;

export function sourceName(source: string): string {
  const known = KNOWN.find((one) => one === source);
  return known ? t(known) : source;
}
