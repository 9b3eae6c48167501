/** Roles and scopes, in words. */
import { texts } from "../../lib/i18n.svelte";

export const roleName = texts({
  viewer: ["Viewer", "Observador"],
  operator: ["Operator", "Operador"],
  engineer: ["Engineer", "Ingeniero"],
  administrator: ["Administrator", "Administrador"],
});

export const roleMay = texts({
  viewer: ["Looks at everything but users and audit.", "Ve todo, salvo usuarios y auditoría."],
  operator: ["Also asks for power, acknowledges alarms, sets maintenance.", "Además pide potencia, reconoce alarmas y declara mantenimiento."],
  engineer: ["Also resets trips, tests dead-men, changes grid parameters.", "Además rearma disparos, prueba el hombre muerto y cambia parámetros de red."],
  administrator: ["Also users, tokens and the audit log.", "Además usuarios, tokens y auditoría."],
});

export const scopeName = texts({
  read: ["read", "lectura"],
  control: ["control", "mando"],
  admin: ["administration", "administración"],
});

export const scopeMay = texts({
  read: ["only reading", "solo lectura"],
  control: ["what the role may change in the plant", "lo que el rol puede cambiar en la planta"],
  admin: ["users, tokens, audit log", "usuarios, tokens y auditoría"],
});
