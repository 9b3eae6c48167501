/** The guard's states in words, and how they look: never by colour alone. */
import { texts } from "./i18n.svelte";

export type Look = "good" | "info" | "warn" | "bad";

const t = texts({
  starting: ["Starting", "Iniciando"],
  normal: ["Normal", "Normal"],
  derated: ["Derated", "Potencia reducida"],
  hold: ["Hold", "Retenido"],
  tripped: ["Tripped", "Disparado"],
  maintenance: ["Maintenance", "Mantenimiento"],
  monitor: ["Monitoring only", "Solo monitoreo"],
  unknown: ["Unknown", "Desconocido"],
});
const why = texts({
  starting: ["Zero power until enough good cycles were seen.", "Potencia cero hasta ver suficientes ciclos buenos."],
  normal: ["Requests are granted within the plant's limits.", "Las solicitudes se cumplen dentro de los límites de la planta."],
  derated: ["Granted within limits that the battery's state has narrowed.", "Se cumplen dentro de límites que el estado de la batería ha estrechado."],
  hold: ["Unsafe or unproven: the battery is commanded to its safe state.", "Inseguro o sin evidencia: se ordena a la batería su estado seguro."],
  tripped: ["A limit was violated: safe state until a person resets the trip.", "Se violó un límite: estado seguro hasta que una persona rearme el disparo."],
  maintenance: ["People work on the plant: zero power, whoever asks.", "Hay personas trabajando en la planta: potencia cero, sin importar quién pida."],
  monitor: ["The gateway looks on and commands nothing.", "El gateway observa y no ordena nada."],
  unknown: ["No decision has been received yet.", "Aún no se recibe ninguna decisión."],
});
const LOOKS: Record<string, Look> = {
  starting: "info", normal: "good", derated: "warn", hold: "bad", tripped: "bad", maintenance: "warn", monitor: "info",
};
type Name = "starting" | "normal" | "derated" | "hold" | "tripped" | "maintenance" | "monitor" | "unknown";
const name = (state: string | null | undefined): Name => (state && state in LOOKS ? (state as Name) : "unknown");

export const stateWord = (state: string | null | undefined): string => (state && !(state in LOOKS) ? state : t(name(state)));
export const stateWhy = (state: string | null | undefined): string => why(name(state));
export const stateLook = (state: string | null | undefined): Look => LOOKS[state ?? ""] ?? "warn";

const severities = texts({
  alarm: ["Alarm", "Alarma"],
  warning: ["Warning", "Advertencia"],
  info: ["Information", "Información"],
});
export const severityWord = (severity: string): string =>
  severity === "alarm" || severity === "warning" || severity === "info" ? severities(severity) : severity;
export const severityLook = (severity: string | null): Look =>
  severity === "alarm" ? "bad" : severity === "warning" ? "warn" : severity === null ? "good" : "info";
