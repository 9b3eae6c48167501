/** The table of a device's points: what is looked for, in which order, and which page of it. */
export interface PointRow {
  name: string;
  value: number | null;
  unit: string | null;
  quality: string;
  /** Seconds when it was told. */
  age: number | null;
  meaning: string | string[] | null;
  /** Null: computed by the gateway. */
  address?: number | null;
  /** Registers as they last came, in the order of the wire. */
  raw?: string[] | null;
}

export type Column = "name" | "value" | "unit" | "quality" | "age";
export interface Order {
  by: Column;
  down: boolean;
}

/** A press on a heading: first upwards, then downwards; another column begins upwards. */
export function pressed(order: Order, by: Column): Order {
  return order.by === by ? { by, down: !order.down } : { by, down: false };
}

const plain = (text: string): string => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** Every word must be found in the name, the unit, the quality or the meaning. */
export function found(rows: readonly PointRow[], search: string, onlyBad: boolean): PointRow[] {
  const words = plain(search).split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (onlyBad && row.quality === "good") return false;
    if (!words.length) return true;
    const text = plain([row.name, row.name.replaceAll("_", " "), row.unit, row.quality, row.meaning].flat().join(" "));
    return words.every((word) => text.includes(word));
  });
}

const compare = new Intl.Collator("en", { numeric: true }).compare;

/** What is not known stands last, whichever way is sorted. */
export function ordered(rows: readonly PointRow[], { by, down }: Order): PointRow[] {
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const one = a[by];
    const other = b[by];
    if (one === null || other === null) {
      if (one !== other) return one === null ? 1 : -1;
    } else if (one !== other) {
      const difference = typeof one === "number" ? one - (other as number) : compare(one, other as string);
      if (difference) return sign * difference;
    }
    return compare(a.name, b.name);
  });
}

export interface Paged<T> {
  rows: T[];
  /** From 0, within what there is. */
  page: number;
  pages: number;
}

export function paged<T>(rows: readonly T[], page: number, size: number): Paged<T> {
  const pages = Math.max(1, Math.ceil(rows.length / size));
  const at = Math.min(Math.max(0, page), pages - 1);
  return { rows: rows.slice(at * size, (at + 1) * size), page: at, pages };
}

/** The name without its device: `rack_2.soc` is `soc`. */
export const short = (name: string): string => name.slice(name.lastIndexOf(".") + 1);
