/** Who is signed in, and what they may do. */
import { get, onDoubt, onSignedOut, post, remove, useToken } from "./api";
import { locale, type Language } from "./i18n.svelte";

export type Role = "viewer" | "operator" | "engineer" | "administrator";
const RANK: Record<Role, number> = { viewer: 1, operator: 2, engineer: 3, administrator: 4 };

export interface SessionAnswer {
  setup_needed: boolean;
  user: { name: string; role: Role; language: Language | null; kind: string; expires: string | null } | null;
  csrf: string | null;
  site: string;
  version: string;
  password_min: number;
}

/** How a session ended that nobody ended here: its time was over, or something happened elsewhere. */
export interface Ended {
  user: string;
  why: "over" | "elsewhere";
}

/** What one answer after another tells of it; null: nothing ended. `now` in ms since 1970. */
export function ended(before: SessionAnswer["user"], after: SessionAnswer["user"], now: number): Ended | null {
  if (!before || after) return null;
  const over = before.expires !== null && Date.parse(before.expires) <= now;
  return { user: before.name, why: over ? "over" : "elsewhere" };
}

class Session {
  /** null until the server has answered once. */
  answer = $state<SessionAnswer | null>(null);
  user = $derived(this.answer?.user ?? null);
  /** Why the page went to the sign-in by itself. */
  ended = $state.raw<Ended | null>(null);

  constructor() {
    onSignedOut(() => {
      if (this.answer) this.take({ ...this.answer, user: null, csrf: null });
    });
    onDoubt(() => void this.load().catch(() => undefined));
  }

  may(role: Role): boolean {
    return this.user !== null && RANK[this.user.role] >= RANK[role];
  }

  /** The first answer, asked for before there is anything to show it; a failure is asked again. */
  first(): Promise<void> {
    this.#first ??= this.load().catch((error: unknown) => {
      this.#first = null;
      throw error;
    });
    return this.#first;
  }
  #first: Promise<void> | null = null;

  async load(): Promise<void> {
    this.take(await get<SessionAnswer>("/session"));
  }

  async signIn(user: string, password: string): Promise<void> {
    this.take(await post<SessionAnswer>("/session", { user, password }));
  }

  async setUp(token: string, user: string, password: string): Promise<void> {
    this.take(await post<SessionAnswer>("/setup", { token, user, password, language: locale.language }));
  }

  async signOut(): Promise<void> {
    await remove("/session");
    if (this.answer) this.answer = { ...this.answer, user: null, csrf: null };
    useToken(null);
    this.ended = null;
  }

  private take(answer: SessionAnswer): void {
    const now = ended(this.user, answer.user, Date.now());
    if (now || answer.user) this.ended = now;
    this.answer = answer;
    useToken(answer.csrf);
    if (answer.user?.language) locale.adopt(answer.user.language);
  }
}

export const session = new Session();
