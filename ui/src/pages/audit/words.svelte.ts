/** Actions and outcomes of the audit log, in words. */
import { texts } from "../../lib/i18n.svelte";

const action = texts({
  sign_in: ["signed in", "inició sesión"],
  sign_out: ["signed out", "cerró sesión"],
  set_up: ["set the page up", "configuró la página"],
  setup_link: ["asked for the link of the first start", "pidió el enlace del primer inicio"],
  password_changed: ["changed the own password", "cambió su contraseña"],
  user_added: ["added a user", "agregó un usuario"],
  user_changed: ["changed a user", "modificó un usuario"],
  user_removed: ["deleted a user", "eliminó un usuario"],
  token_made: ["made a token", "creó un token"],
  token_removed: ["revoked a token", "revocó un token"],
  request: ["asked for power", "pidió potencia"],
  request_renew: ["renewed a request", "renovó una solicitud"],
  request_cancel: ["ended a request", "terminó una solicitud"],
  alarm_ack: ["acknowledged an alarm", "reconoció una alarma"],
  alarm_shelve: ["shelved an alarm", "suspendió una alarma"],
  alarm_unshelve: ["unshelved an alarm", "reactivó una alarma"],
  maintenance: ["changed maintenance", "cambió el estado de mantenimiento"],
  reset: ["reset a trip", "rearmó un disparo"],
  deadman_test: ["tested a dead-man", "probó un hombre muerto"],
  deadman_test_end: ["ended a dead-man test", "terminó una prueba de hombre muerto"],
  grid_set: ["changed a grid parameter", "cambió un parámetro de red"],
  grid_command: ["gave a grid command", "dio una orden de red"],
  grid_test: ["began a test signal", "inició una señal de prueba"],
  grid_test_end: ["ended a test signal", "terminó una señal de prueba"],
  log_level: ["changed how loud the gateway logs", "cambió el nivel de detalle del log"],
  audit_mended: ["cut off half a line after a power cut", "quitó media línea tras un corte de energía"],
  audit_tampered: ["found the log changed by somebody", "encontró el registro alterado por alguien"],
  audit_head_missing: ["found the log's last place missing", "no encontró la última posición del registro"],
});

export function actionWord(name: string): string {
  return action.find(name) ?? name.replaceAll("_", " ");
}

const outcome = texts({
  asked: ["asked", "solicitado"],
  done: ["done", "hecho"],
  refused: ["refused", "rechazado"],
  failed: ["failed", "falló"],
});

export function outcomeWord(name: string): string {
  return outcome.find(name) ?? name.replaceAll("_", " ");
}

export const known = (): string[] => action.keys();
