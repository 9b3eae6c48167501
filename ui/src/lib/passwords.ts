/** What a new password must be; the server looks again, and knows those that are guessed first. */
export interface Rules {
  length: boolean;
  own: boolean;
  same: boolean;
}

export function rules(password: string, repeated: string, user: string, minimum: number): Rules {
  const plain = password.normalize("NFC");
  const folded = plain.toLowerCase();
  const name = user.trim().toLowerCase();
  return {
    length: [...plain].length >= minimum,
    own: /[^\d\s!.\-_@#$*]/u.test(plain) && (name === "" || folded.replaceAll(name, "") !== ""),
    same: password !== "" && password === repeated,
  };
}

/** Whether the server takes it as the name of a user or a token. */
export const nameFits = (name: string): boolean => /^[a-z0-9][a-z0-9._-]{0,31}$/.test(name);
