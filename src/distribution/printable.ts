/** What others say, on its way to the user's terminal. Pure. */

/** One line without control characters: a hostile registry must not write to the terminal. */
export function printable(text: string, maxLength = 500): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").slice(0, maxLength);
}
