/** `key=value` words as a map. Pure. */

/** A word without `=` gets an empty value; the last of a key counts. */
export function pairsToMap(words: readonly string[], separator = "="): Readonly<Record<string, string>> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf(separator);
      return at < 0 ? [word, ""] : [word.slice(0, at), word.slice(at + separator.length)];
    }),
  );
}
