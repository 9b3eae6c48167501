/** What an administrator may do with a user, before the server is asked. */
import type { Role } from "../../lib/session.svelte";

export interface User {
  name: string;
  role: Role;
  language: string;
  created: string;
  last_seen: string | null;
  locked_until: string | null;
  disabled: boolean;
  sessions: number;
}

export type Scope = "read" | "control" | "admin";
export const SCOPES: readonly Scope[] = ["read", "control", "admin"];
export const ROLES: readonly Role[] = ["viewer", "operator", "engineer", "administrator"];

export interface Token {
  id: string;
  name: string;
  role: Role;
  user: string;
  created: string;
  expires: string;
  last_used: string | null;
  scopes: Scope[];
}

/** Nobody else could administrate the gateway without this user. */
export function last(user: User, users: readonly User[]): boolean {
  return (
    user.role === "administrator" && !user.disabled &&
    !users.some((other) => other.name !== user.name && other.role === "administrator" && !other.disabled)
  );
}

export type State = "disabled" | "locked" | "well";

export function state(user: User, now: number): State {
  if (user.disabled) return "disabled";
  return user.locked_until !== null && Date.parse(user.locked_until) > now ? "locked" : "well";
}


/** Scopes that a role cannot use are of no use in a token. */
export function useful(scope: Scope, role: Role): boolean {
  return scope === "read" || (scope === "control" ? role !== "viewer" : role === "administrator");
}

export type Left = "ended" | "soon" | "valid";

/** A token ends "soon" when it has two weeks or less. */
export function left(expires: string, now: number): Left {
  const days = (Date.parse(expires) - now) / 86_400_000;
  return days <= 0 ? "ended" : days <= 14 ? "soon" : "valid";
}
