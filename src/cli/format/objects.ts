/** Prints objects as they came: indented JSON, or by a template. */
import { CliError } from "../errors.ts";
import { compileTemplate, type Template } from "../template/execute-template.ts";
import { TemplateError } from "../template/node.ts";
import { goJson } from "../template/value.ts";

export interface ObjectPrinter {
  /** The text for one object; the objects of one command are joined by `join`. */
  one(value: unknown): string;
  join(texts: readonly string[]): string;
}

/** @param format empty, `json`, or a template. @throws {CliError} exit code 64 for a template that cannot be parsed */
export function objectPrinter(format: string): ObjectPrinter {
  if (format === "")
    return { one: (value) => JSON.stringify(value, undefined, "    "), join: (texts) => indentList(texts) };
  if (format === "json") return { one: (value) => goJson(value), join: (texts) => `[${texts.join(",")}]\n` };
  const template = compileFormat(format);
  return {
    one: (value) => runFormat(template, value),
    join: (texts) => texts.map((text) => `${text}\n`).join(""),
  };
}

export function compileFormat(format: string): Template {
  try {
    return compileTemplate(format);
  } catch (error) {
    if (error instanceof TemplateError)
      throw new CliError(`template parsing error: ${error.message}`, { bare: true, exitCode: 64 });
    throw error;
  }
}

export function runFormat(template: Template, value: unknown): string {
  try {
    return template(value);
  } catch (error) {
    if (error instanceof TemplateError)
      throw new CliError(`template parsing error: ${error.message}`, { bare: true });
    throw error;
  }
}

function indentList(texts: readonly string[]): string {
  if (texts.length === 0) return "[]\n";
  return `[\n${texts.map((text) => text.replaceAll(/^/gm, "    ")).join(",\n")}\n]\n`;
}
