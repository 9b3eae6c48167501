/** Names of the API that people read, in words. */
import { texts } from "../../lib/i18n.svelte";

const said = texts({
  good: ["good", "bueno"],
  missing: ["not read", "sin lectura"],
  stale: ["too old", "añejo"],
  not_available: ["device has none", "el equipo no lo entrega"],
  invalid: ["not a number", "no es un número"],
  out_of_range: ["impossible value", "valor imposible"],
  absent: ["not in this model", "no existe en este modelo"],
  implausible: ["implausible jump", "salto inverosímil"],
  frozen: ["device frozen", "equipo congelado"],
});

export function qualityWord(name: string): string {
  return said.find(name) ?? name.replaceAll("_", " ");
}

const exception = texts({
  1: ["illegal function", "función no admitida"],
  2: ["illegal data address", "dirección de dato inexistente"],
  3: ["illegal data value", "valor de dato no admitido"],
  4: ["device failure", "falla del equipo"],
  5: ["acknowledge: still working", "recibido: aún trabajando"],
  6: ["device busy", "equipo ocupado"],
  8: ["memory parity error", "error de paridad de memoria"],
  10: ["gateway path unavailable", "pasarela sin ruta"],
  11: ["gateway target does not respond", "el equipo tras la pasarela no responde"],
});

/** An exception code of Modbus in words. */
export function exceptionWord(code: number, name: string): string {
  return exception.find(String(code)) ?? name;
}

const role = texts({
  inverter: ["Inverter", "Inversor"],
  pcs: ["Power converter (PCS)", "Convertidor (PCS)"],
  battery: ["Battery", "Batería"],
  bms: ["Battery management (BMS)", "Gestión de batería (BMS)"],
  meter: ["Meter", "Medidor"],
  plant: ["Plant controller", "Control de planta"],
  weather: ["Weather station", "Estación meteorológica"],
});

export function roleWord(name: string): string {
  return role.find(name) ?? name.replaceAll("_", " ");
}

const field = texts({
  model_name: ["Calls itself", "Se identifica como"],
  serial_number: ["Serial number", "Número de serie"],
  part_number: ["Part number", "Número de parte"],
  software_version: ["Software", "Software"],
  hardware_version: ["Hardware", "Hardware"],
  firmware_version: ["Firmware", "Firmware"],
  battery_software_version: ["Battery software", "Software de la batería"],
  battery_bms_version: ["BMS version", "Versión del BMS"],
  battery_serial_number: ["Battery serial number", "Número de serie de la batería"],
  manufacturer: ["Manufacturer", "Fabricante"],
});

export function textWord(name: string): string {
  return field.find(name) ?? name.replaceAll("_", " ");
}
