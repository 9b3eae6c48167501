/** The pages: each is loaded when it is opened first. */
import type { Component } from "svelte";

import Overview from "../pages/Overview.svelte";

import { texts, type Pair } from "./i18n.svelte";
import type { Role } from "./session.svelte";

export interface Page {
  path: string;
  role: Role;
  load: () => Promise<{ default: Component }>;
}

const names = {
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
} satisfies Record<string, Pair>;

export type PageName = keyof typeof names;
export const pageName = texts<PageName>(names);

export const pages: (Page & { path: PageName })[] = [
  { path: "overview", role: "viewer", load: () => Promise.resolve({ default: Overview }) },
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
