/** Docker's configuration directory, which we share: the current context is read here, on every command's way. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { CliError, hasErrno } from "../errors.ts";

export function dockerDirectory(): string {
  const { DOCKER_CONFIG, HOME } = process.env;
  // Set to nothing is not set.
  return DOCKER_CONFIG || join(HOME || homedir(), ".docker");
}

/** Empty where none is set. @throws {CliError} when the file is no JSON */
export function readCurrentContext(): string {
  const path = join(dockerDirectory(), "config.json");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR", "EACCES")) return "";
    throw error;
  }
  if (!text.includes('"currentContext"')) return "";
  try {
    const { currentContext } = JSON.parse(text) as { readonly currentContext?: unknown };
    return typeof currentContext === "string" ? currentContext : "";
  } catch {
    throw new CliError(`${path} is not valid JSON`, { hint: "repair or remove the file" });
  }
}
