/** The rows of a self-test: what failed first, then what was not tested. */
import type { Both } from "../../lib/i18n.svelte";

export interface Tested {
  name: string;
  clause: string;
  verdict: string;
  requirement: Both | null;
  limit: Both | null;
  found: Both | null;
  reason: Both | null;
}

const RANK: Record<string, number> = { fail: 0, "not tested": 1, pass: 2 };

/** In the order of the report among those of one verdict; `only` leaves one verdict. */
export function ranked(rows: readonly Tested[], only: string | null): Tested[] {
  const rank = (row: Tested): number => RANK[row.verdict] ?? 1;
  return rows.filter((row) => only === null || row.verdict === only).sort((a, b) => rank(a) - rank(b));
}
