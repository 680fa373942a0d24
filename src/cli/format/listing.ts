/** Prints rows by a --format: the default table, `table TEMPLATE`, `json`, or a template for each row. */
import { CliError } from "../errors.ts";
import { compileTemplate, type Template } from "../template/execute-template.ts";
import { headerFunctions, type TemplateFunction, templateFunctions } from "../template/functions.ts";
import { TemplateError } from "../template/node.ts";
import type { Row } from "../template/value.ts";
import { alignTabs } from "./table.ts";

export interface Listing {
  /** The value of --format; empty: the default. */
  readonly format: string;
  readonly quiet: boolean;
  /** The default template, columns separated by tabs. */
  readonly table: string;
  /** What -q prints of a row. */
  readonly quietField: string;
  /** Names of columns by field. */
  readonly headers: Readonly<Record<string, unknown>>;
  readonly rows: readonly Row[];
}

/** @throws {CliError} in docker's words for a wrong template */
export function formatListing(listing: Listing): string {
  const { source, withHeader } = chooseTemplate(listing);
  const template = compile(source, templateFunctions);
  const lines = listing.rows.map((row) => `${run(template, row)}\n`);
  if (!withHeader) return lines.join("");
  const header = `${run(compile(source, headerFunctions), listing.headers)}\n`;
  return alignTabs(header + lines.join(""));
}

/** Which template a --format means, and whether it has a line of column names. */
export function chooseTemplate(listing: Pick<Listing, "format" | "quiet" | "table" | "quietField">): {
  readonly source: string;
  readonly withHeader: boolean;
} {
  const { format } = listing;
  if (format === "json") return { source: "{{json .}}", withHeader: false };
  if (format === "" || format === "table") {
    return listing.quiet
      ? { source: `{{.${listing.quietField}}}`, withHeader: false }
      : { source: listing.table, withHeader: true };
  }
  // As docker has it, \t and \n may be written out.
  const unescaped = format.trim().replaceAll("\\t", "\t").replaceAll("\\n", "\n");
  return unescaped.startsWith("table")
    ? { source: unescaped.slice(5).trim(), withHeader: true }
    : { source: unescaped, withHeader: false };
}

function compile(source: string, functions: Readonly<Record<string, TemplateFunction>>): Template {
  try {
    return compileTemplate(source, functions);
  } catch (error) {
    if (error instanceof TemplateError)
      throw new CliError(`failed to parse template: ${error.message}`, { bare: true });
    throw error;
  }
}

function run(template: Template, data: unknown): string {
  try {
    return template(data);
  } catch (error) {
    if (error instanceof TemplateError)
      throw new CliError(`failed to execute template: ${error.message}`, { bare: true });
    throw error;
  }
}
