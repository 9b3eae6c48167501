/** Why the battery does what it does, in one sentence and the limits that bind. */
import { number, quantity, UNKNOWN } from "../../lib/format";
import { texts } from "../../lib/i18n.svelte";
import { sourceName } from "../../lib/sources";
import type { Decision } from "../../lib/types";

const t = texts({
  charge: ["Charging with {power}", "Cargando con {power}"],
  discharge: ["Discharging with {power}", "Descargando con {power}"],
  zero: ["Commanded to zero power", "Consigna en potencia cero"],
  none: ["No setpoint is given", "No se entrega consigna"],
  asked: ["{what}: {source} asked for {asked}", "{what}: {source} pidió {asked}"],
  because: [" ({reason})", " ({reason})"],
  nobody: ["{what}: nobody asks for power", "{what}: nadie pide potencia"],
  cut: ["; it gets {setpoint}", "; recibe {setpoint}"],
  trip: ["{what}: a trip stands until somebody resets it", "{what}: un disparo sigue enclavado hasta que alguien lo rearme"],
  unknown: ["Not known yet", "Aún no se sabe"],
});

/** Signed power: "+2,5 kW" discharges, "−2,5 kW" charges. */
export function signed(value: number | null | undefined): string {
  const text = quantity(value, "kW");
  return text === UNKNOWN || (value ?? 0) <= 0 || text === quantity(0, "kW") ? text : `+${text}`;
}

export function sentence(decision: Decision | null): string {
  if (!decision) return t("unknown");
  const setpoint = decision.setpoint ?? null;
  const size = setpoint === null ? null : Math.abs(setpoint);
  const what =
    setpoint === null ? t("none")
    : number(setpoint, 1) === number(0, 1) ? t("zero")
    : t(setpoint > 0 ? "discharge" : "charge", { power: quantity(size, "kW") });
  if (decision.trips?.length) return `${t("trip", { what })}.`;
  if (!decision.source) return `${t("nobody", { what })}.`;
  const asked = decision.asked ?? null;
  let text = t("asked", { what, source: sourceName(decision.source), asked: asked === null ? UNKNOWN : signed(asked) });
  if (decision.reason) text += t("because", { reason: decision.reason });
  if (asked !== null && setpoint !== null && number(asked, 1) !== number(setpoint, 1))
    text += t("cut", { setpoint: signed(setpoint) });
  return `${text}.`;
}
