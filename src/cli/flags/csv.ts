/** One line of comma separated fields, quoted as RFC 4180 has it. Pure. */
import { FlagError } from "../errors.ts";

/** @throws {FlagError} for a quote that does not end or stands inside a field */
export function parseCsv(text: string): string[] {
  const fields: string[] = [];
  let rest = text;
  for (;;) {
    const match = /^(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/.exec(rest);
    if (match === null)
      throw new FlagError(
        `parse error on line 1, column ${text.length - rest.length + 1}: extraneous or missing " in quoted-field`,
      );
    fields.push(match[1] === undefined ? (match[2] ?? "") : match[1].replaceAll('""', '"'));
    if (match[3] === "") return fields;
    rest = rest.slice(match[0].length);
  }
}
