const two = (n: number): string => String(n).padStart(2, "0");

/** "14:05:09" of this screen's zone. Not by `Intl`: its first date form takes longer than all else of the first view. */
export function clockTime(date: Date): string {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}

/** "UTC−03:00" from what `Date.getTimezoneOffset` says: minutes, positive in the west. */
export function utcOffset(minutes: number): string {
  const ahead = -minutes;
  const size = Math.abs(ahead);
  return `UTC${ahead < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}
