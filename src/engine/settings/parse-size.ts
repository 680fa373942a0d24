/** Sizes as docker writes them: `64m`, `1.5g`. Pure. */
const units: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** @returns bytes; undefined for what is no size */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,6})?) ?([bkmgt]?)(?:i?b)?$/i.exec(text.trim());
  const unit = units[match?.[2]?.toLowerCase() ?? "none"];
  return match === null || unit === undefined ? undefined : Math.floor(Number(match[1]) * unit);
}
