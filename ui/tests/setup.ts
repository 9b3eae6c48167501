// What jsdom lacks.
globalThis.matchMedia ??= ((query: string) => ({
  matches: false, media: query, addEventListener() {}, removeEventListener() {},
})) as unknown as typeof matchMedia;
