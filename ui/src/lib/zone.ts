/** "UTC−03:00" from what `Date.getTimezoneOffset` says: minutes, positive in the west. */
export function utcOffset(minutes: number): string {
  const ahead = -minutes;
  const size = Math.abs(ahead);
  const two = (n: number): string => String(n).padStart(2, "0");
  return `UTC${ahead < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}
