/** The way to the API: JSON in and out, the CSRF token on every change, and errors that name their fields. */
import { locale } from "./i18n.svelte";

export interface FieldProblem {
  field: string;
  value: unknown;
  message: string;
}

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly errors: FieldProblem[] = [],
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
  }

  /** What is wrong with one field of a form; null when nothing is. */
  of(field: string): string | null {
    return this.errors.find((error) => error.field === field || error.field.endsWith(`.${field}`))?.message ?? null;
  }
}

export const BASE = "/api/v1";
let csrf: string | null = null;
let signedOut: () => void = () => {};
let doubted: () => void = () => {};

export function useToken(token: string | null): void {
  csrf = token;
}

/** Called when the server says that nobody is signed in any more. */
export function onSignedOut(call: () => void): void {
  signedOut = call;
}

/** Called when the server knows another user, or another role, than this page. */
export function onDoubt(call: () => void): void {
  doubted = call;
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> => send<T>("GET", path, undefined, signal);
export const post = <T>(path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<T> =>
  send<T>("POST", path, body, undefined, headers);
export const put = <T>(path: string, body: unknown): Promise<T> => send<T>("PUT", path, body);
export const patch = <T>(path: string, body: unknown): Promise<T> => send<T>("PATCH", path, body);
export const remove = <T = void>(path: string, body?: unknown): Promise<T> => send<T>("DELETE", path, body);

async function send<T>(
  method: string, path: string, body?: unknown, signal?: AbortSignal, more: Record<string, string> = {},
): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json", "Accept-Language": locale.language, ...more };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  let response: Response;
  try {
    response = await fetch(BASE + path, {
      method, headers, credentials: "same-origin", cache: "no-store",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: signal ?? AbortSignal.timeout(20_000),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "unreachable", "the gateway does not answer");
  }
  if (response.status === 204) return undefined as T;
  const data: unknown = await response.json().catch(() => null);
  if (response.ok) return data as T;
  const said = (data ?? {}) as { code?: string; detail?: string; errors?: FieldProblem[] };
  const problem = new Problem(
    response.status, said.code ?? "error", said.detail ?? response.statusText, said.errors ?? [],
    Number(response.headers.get("Retry-After")) || null,
  );
  if (problem.status === 401 && problem.code === "not_signed_in") signedOut();
  if (problem.status === 403 && (problem.code === "csrf" || problem.code === "role_too_low")) doubted();
  throw problem;
}
