/** The columns of a cycle: base64, little-endian. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  const whole = atob(text);
  const made = new Uint8Array(whole.length);
  for (let i = 0; i < whole.length; i++) made[i] = whole.charCodeAt(i);
  return made;
}

export const doubles = (text: string): Float64Array<ArrayBuffer> => new Float64Array(bytes(text).buffer);
export const floats = (text: string): Float32Array<ArrayBuffer> => new Float32Array(bytes(text).buffer);
