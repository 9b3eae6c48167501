/**
 * Colours of a heat map: evenly lighter from low to high, so that equal steps look equal to people with any kind of
 * colour vision; the hue goes from violet over blue and green to yellow besides. Computed in the OKLCH colour space.
 */
export const STEPS = 64;
const DARKEST = 0.3;
const LIGHTEST = 0.93;
/** Hue in degrees and chroma at low, a third, two thirds and high. */
const HUES = [300, 245, 165, 105];
const CHROMAS = [0.13, 0.11, 0.12, 0.17];

/** The colour of a share between 0 and 1 as [red, green, blue], each 0 to 255. */
export function colour(share: number): [number, number, number] {
  const at = Math.min(1, Math.max(0, share));
  const hue = (along(HUES, at) * Math.PI) / 180;
  let chroma = along(CHROMAS, at);
  for (;;) {
    const linear = fromOklab(DARKEST + (LIGHTEST - DARKEST) * at, chroma * Math.cos(hue), chroma * Math.sin(hue));
    // a colour that no screen shows is made paler, never lighter or darker
    if (chroma < 0.01 || linear.every((one) => one >= 0 && one <= 1))
      return linear.map((one) => Math.round(255 * gamma(Math.min(1, Math.max(0, one))))) as [number, number, number];
    chroma -= 0.0005;
  }
}

export const css = (share: number): string => `rgb(${colour(share).join(" ")})`;

/** All colours of the map, low to high. */
export const palette: readonly string[] = Array.from({ length: STEPS }, (_one, i) => css(i / (STEPS - 1)));

/** Which colour of the palette a value has. */
export function step(value: number, low: number, high: number): number {
  if (!(high > low)) return STEPS >> 1;
  return Math.min(STEPS - 1, Math.max(0, Math.round(((value - low) / (high - low)) * (STEPS - 1))));
}

/** A range that holds all values, on round numbers, and wide enough that noise does not look like a fault. */
export function fitting(low: number, high: number, unit: string | null): [number, number] {
  const [least, round] = unit === "V" ? [0.02, 0.005] : unit === "°C" ? [4, 1] : [0, 0];
  if (!round) return [low, high];
  const missing = Math.max(0, least - (high - low)) / 2;
  const snap = (value: number): number => Number((value * round).toFixed(6));
  return [snap(Math.floor((low - missing) / round + 1e-9)), snap(Math.ceil((high + missing) / round - 1e-9))];
}

function along(stops: readonly number[], share: number): number {
  const place = share * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(place));
  return stops[i]! + (stops[i + 1]! - stops[i]!) * (place - i);
}

function fromOklab(light: number, a: number, b: number): [number, number, number] {
  const l = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (light - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

function gamma(one: number): number {
  return one <= 0.0031308 ? 12.92 * one : 1.055 * one ** (1 / 2.4) - 0.055;
}
