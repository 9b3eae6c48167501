/** The pages: each is loaded when it is opened first. */
import type { Component } from "svelte";

import Overview from "../pages/Overview.svelte";

import { texts } from "./i18n.svelte";
import type { Role } from "./session.svelte";

export interface Page {
  path: string;
  role: Role;
  load: () => Promise<{ default: Component }>;
  /** What is here already: drawn at once, and not after the frame around it. */
  here?: Component;
}

export const pageName = texts({
  overview: ["Overview", "Resumen"],
  why: ["Why", "Por qué"],
  trends: ["Trends", "Tendencias"],
  cells: ["Cells", "Celdas"],
  alarms: ["Alarms", "Alarmas"],
  control: ["Control", "Control"],
  devices: ["Devices", "Equipos"],
  grid: ["Grid", "Red"],
  system: ["System", "Sistema"],
  users: ["Users", "Usuarios"],
  audit: ["Audit", "Auditoría"],
});
export type PageName = Parameters<typeof pageName>[0];

export const pages: (Page & { path: PageName })[] = [
  { path: "overview", role: "viewer", load: () => Promise.resolve({ default: Overview }), here: Overview },
  { path: "why", role: "viewer", load: () => import("../pages/Why.svelte") },
  { path: "trends", role: "viewer", load: () => import("../pages/Trends.svelte") },
  { path: "cells", role: "viewer", load: () => import("../pages/Cells.svelte") },
  { path: "alarms", role: "viewer", load: () => import("../pages/Alarms.svelte") },
  { path: "control", role: "operator", load: () => import("../pages/Control.svelte") },
  { path: "devices", role: "viewer", load: () => import("../pages/Devices.svelte") },
  { path: "grid", role: "viewer", load: () => import("../pages/Grid.svelte") },
  { path: "system", role: "viewer", load: () => import("../pages/System.svelte") },
  { path: "users", role: "administrator", load: () => import("../pages/Users.svelte") },
  { path: "audit", role: "administrator", load: () => import("../pages/Audit.svelte") },
];
