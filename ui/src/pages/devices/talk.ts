/** What was heard of a device, summed up for people. */
export interface Kind {
  code: number;
  name: string;
  count: number;
}

/** The most frequent exception first. */
export function byCount(kinds: readonly Kind[]): Kind[] {
  return [...kinds].sort((a, b) => b.count - a.count || a.code - b.code);
}

export const total = (kinds: readonly Kind[]): number => kinds.reduce((sum, kind) => sum + kind.count, 0);

/** Checksums are of serial lines; elsewhere there are none that could fail. */
export const serial = (address: string): boolean => /\(\d+ baud,/.test(address) || address.startsWith("rtu+tcp://");
