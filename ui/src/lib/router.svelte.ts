/** Pages by the address behind `#`, so that a link can be shared and no server needs to know them. */
class Router {
  path = $state("");
  query = $state(new URLSearchParams());

  constructor() {
    this.read();
    addEventListener("hashchange", () => this.read());
  }

  private read(): void {
    const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
    this.path = decodeURIComponent(path);
    this.query = new URLSearchParams(query);
  }

  go(path: string, query: Record<string, string> = {}): void {
    location.hash = link(path, query);
  }

  /** Goes on from an address that shall not be gone back to. */
  replace(path: string): void {
    history.replaceState(null, "", link(path));
    this.read();
  }

  /** Changes the query of the page that is open, without a step in the browser's history. */
  keep(query: Record<string, string>): void {
    history.replaceState(null, "", link(this.path, query));
    this.query = new URLSearchParams(query);
  }
}

export function link(path: string, query: Record<string, string> = {}): string {
  // eslint-disable-next-line svelte/prefer-svelte-reactivity -- made and forgotten here
  const text = new URLSearchParams(query).toString();
  return `#/${path}${text ? `?${text}` : ""}`;
}

export const router = new Router();
