/** The little XML that S3 answers with: flat elements without attributes that matter. */

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** The insides of all elements of this name that do not contain one another. */
export function elementsOf(xml: string, name: string): readonly string[] {
  return Array.from(
    xml.matchAll(new RegExp(`<${name}(?: [^>]*)?>([\\s\\S]*?)</${name}>`, "g")),
    ([, inside]) => inside ?? "",
  );
}

/** The text of the first element of this name, "" without. */
export function textOf(xml: string, name: string): string {
  const inside = new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`).exec(xml)?.[1] ?? "";
  return inside.replace(
    /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|([a-z]{2,4}));/g,
    (whole, decimal: string, hex: string, entity: string) => {
      if (decimal !== undefined) return String.fromCodePoint(Math.min(Number(decimal), 0x10_ff_ff));
      if (hex !== undefined) return String.fromCodePoint(Math.min(Number.parseInt(hex, 16), 0x10_ff_ff));
      return entities[String(entity)] ?? whole;
    },
  );
}
