import { number, UNKNOWN } from "../../lib/format";
import { scaled } from "./course";

/** "4.2 MB". */
export function size(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return UNKNOWN;
  const { value, unit } = scaled(bytes);
  return `${number(value, unit === "B" || value >= 99.5 ? 0 : 1)} ${unit}`;
}

export function milliseconds(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return UNKNOWN;
  const ms = seconds * 1000;
  return `${number(ms, ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}
