/** Seconds left until a moment of `Date.now`, whole, never below zero. */
export const left = (until: number, now: number): number => Math.max(0, Math.ceil((until - now) / 1000));

/** Whether what is typed here can be read on the way: neither TLS nor this machine. */
export function readable(protocol: string, host: string): boolean {
  const own = host === "localhost" || host === "[::1]" || host.endsWith(".localhost") || /^127\./.test(host);
  return protocol !== "https:" && !own;
}
