/** Names and values of the grid functions, in words. */
import { number } from "../../lib/format";
import { texts } from "../../lib/i18n.svelte";
import type { Parameter, Value } from "./parameters";

const name = texts({
  "frequency.enabled": ["Frequency response", "Respuesta a la frecuencia"],
  "frequency.curve": ["Law", "Ley"],
  "frequency.droop": ["Droop", "Estatismo"],
  "frequency.dead_band": ["Dead band", "Banda muerta"],
  "frequency.shape": ["Shape beyond the band", "Forma fuera de la banda"],
  "frequency.response_time": ["Added rise time", "Tiempo de crecimiento agregado"],
  "frequency.authority_up": ["Most upwards", "Máximo a subir"],
  "frequency.authority_down": ["Most downwards", "Máximo a bajar"],
  "frequency.soc_low": ["Reserve ends at SOC", "Fin de reserva, SOC bajo"],
  "frequency.soc_high": ["Reserve ends at SOC (high)", "Fin de reserva, SOC alto"],
  "frequency.soc_taper": ["Taper before it", "Atenuación previa"],
  "frequency.recovery": ["SOC recovery", "Recuperación del SOC"],
  "voltage.mode": ["Mode", "Modo"],
  "voltage.setpoint": ["Voltage set-point", "Consigna de tensión"],
  "voltage.droop": ["Droop", "Estatismo"],
  "voltage.dead_band": ["Dead band", "Banda muerta"],
  "voltage.response_time": ["Rise time", "Tiempo de crecimiento"],
  "voltage.power_factor": ["Power factor", "Factor de potencia"],
  "voltage.reactive_power": ["Reactive power", "Potencia reactiva"],
  "active.setpoint": ["Set-point (AGC, operator)", "Consigna (AGC, operador)"],
  "active.maximum": ["Maximum (curtailment)", "Máximo (limitación)"],
  "active.ramp": ["Ramp", "Rampa"],
  "active.curtailment_time": ["Time for a curtailment", "Tiempo para una limitación"],
  "active.agc": ["AGC", "AGC"],
  "active.volt_watt": ["Volt-watt", "Volt-watt"],
});

export function parameterName(code: string): string {
  return name.find(code) ?? code;
}

const word = texts({
  none: ["none", "ninguna"],
  off: ["off", "desactivado"],
  droop: ["droop of the annex", "estatismo del anexo"],
  ieee1547_freq_watt: ["IEEE 1547 freq-watt", "IEEE 1547 freq-watt"],
  uk_dc: ["UK Dynamic Containment", "Dynamic Containment (Reino Unido)"],
  uk_dm: ["UK Dynamic Moderation", "Dynamic Moderation (Reino Unido)"],
  uk_dr: ["UK Dynamic Regulation", "Dynamic Regulation (Reino Unido)"],
  offset: ["from the band's edge (offset)", "desde el borde de la banda (offset)"],
  step: ["from nominal (step)", "desde la nominal (step)"],
  voltage: ["voltage", "tensión"],
  voltage_droop: ["voltage with droop", "tensión con estatismo"],
  power_factor: ["power factor", "factor de potencia"],
  reactive_power: ["reactive power", "potencia reactiva"],
  ieee1547_volt_var: ["IEEE 1547 volt-var", "IEEE 1547 volt-var"],
  ieee1547_watt_var: ["IEEE 1547 watt-var", "IEEE 1547 watt-var"],
});
const t = texts({ on: ["on", "activado"], off: ["off", "desactivado"], to: ["{low} to {high}", "{low} a {high}"], or: ["{range} or {choice}", "{range} o {choice}"], least: ["{range}, magnitude at least {least}", "{range}, magnitud de al menos {least}"] });

/** As few decimals as tell the value. */
export function plainNumber(value: number): string {
  const decimals = String(Number(value.toPrecision(9))).split(".")[1]?.length ?? 0;
  return number(value, Math.min(6, decimals));
}

export function choiceText(value: string): string {
  return word.find(value) ?? value;
}

export function valueText(value: Value | null | undefined, unit = ""): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? t("on") : t("off");
  if (typeof value === "string") return choiceText(value);
  return unit ? `${plainNumber(value)} ${unit}` : plainNumber(value);
}

export function rangeText(one: Parameter): string {
  if (one.type === "switch") return `${t("on")}, ${t("off")}`;
  if (one.type === "choice") return one.choices.map(choiceText).join(", ");
  if (one.low === null || one.high === null) return one.range;
  const least = /magnitude at least ([\d.]+)/.exec(one.range)?.[1]; // the API tells it in its sentence only
  const numbers = `${t("to", { low: plainNumber(one.low), high: plainNumber(one.high) })}${one.unit ? ` ${one.unit}` : ""}`;
  const range = least ? t("least", { range: numbers, least: plainNumber(Number(least)) }) : numbers;
  return one.choices.length ? t("or", { range, choice: one.choices.map(choiceText).join(", ") }) : range;
}

const what = texts({
  start: ["first start", "primer arranque"],
  set: ["changed", "cambio"],
  adopt: ["taken from the file", "tomado del archivo"],
  command: ["command", "orden"],
  refused: ["refused", "rechazado"],
  test: ["test signal begun", "inicio de señal de prueba"],
  test_end: ["test signal ended", "fin de señal de prueba"],
});
export const whatText = (code: string): string => what.find(code) ?? code;

const limit = texts({
  authority: ["limited by its authority", "limitada por su autoridad"],
  soc: ["limited by the state of charge", "limitada por el estado de carga"],
  capability: ["limited by the P-Q capability", "limitada por la curva P-Q"],
  not_granted: ["the plant was told other kvar", "a la planta se le indicó otro reactivo"],
  not_followed: ["the meter sees other kvar", "el medidor ve otro reactivo"],
});
export const limitText = (code: string): string => limit.find(code) ?? code.replaceAll("_", " ");
