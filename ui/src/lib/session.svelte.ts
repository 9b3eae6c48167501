/** Who is signed in, and what they may do. */
import { get, onSignedOut, post, remove, useToken } from "./api";
import { locale, read, type Language } from "./i18n.svelte";

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

class Session {
  /** null until the server has answered once. */
  answer = $state<SessionAnswer | null>(null);
  user = $derived(this.answer?.user ?? null);

  constructor() {
    onSignedOut(() => {
      if (this.answer) this.answer = { ...this.answer, user: null, csrf: null };
    });
  }

  may(role: Role): boolean {
    return this.user !== null && RANK[this.user.role] >= RANK[role];
  }

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
    await this.load();
  }

  private take(answer: SessionAnswer): void {
    this.answer = answer;
    useToken(answer.csrf);
    if (answer.user?.language && read("bessai.language") === null) locale.choose(answer.user.language);
  }
}

export const session = new Session();
