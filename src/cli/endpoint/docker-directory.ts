/**
 * Docker's configuration directory, which we share: the current context is read here, on every command's way, so without
 * node:fs, whose loading takes longer than all else here.
 */
import { CliError, hasErrno } from "../errors.ts";

export async function dockerDirectory(): Promise<string> {
  const { DOCKER_CONFIG, HOME } = process.env;
  // Set to nothing is not set.
  return DOCKER_CONFIG || `${HOME || (await import("node:os")).homedir()}/.docker`;
}

/** Empty where none is set. @throws {CliError} when the file is no JSON */
export async function readCurrentContext(): Promise<string> {
  const path = `${await dockerDirectory()}/config.json`;
  let text: string;
  try {
    text = await Bun.file(path).text();
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
