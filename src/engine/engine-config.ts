/** The engine's configuration file, YAML: `registries`, by host, with mirrors, certificates and plain HTTP. */
import { readFileSync } from "node:fs";
import { noRegistriesConfig, parseRegistriesConfig, type RegistriesConfig } from "../distribution/index.ts";
import { GantryError, isErrno, messageOf, toGantryError } from "../lib/index.ts";

export interface EngineConfig {
  readonly registries: RegistriesConfig;
}

const usualPath = "/etc/gantry/config.yaml";

/**
 * @param path undefined: the usual file, which need not be there
 * @throws {GantryError} "not-found", "invalid", naming the file and the key
 */
export function readEngineConfig(path: string | undefined): EngineConfig {
  const file = path ?? usualPath;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (path === undefined && isErrno(error, "ENOENT", "ENOTDIR")) return { registries: noRegistriesConfig };
    throw toGantryError(error, `read the configuration file ${file}`);
  }
  return parseEngineConfig(text, file);
}

/** @throws {GantryError} "invalid" */
export function parseEngineConfig(text: string, file: string): EngineConfig {
  let value: unknown;
  try {
    value = Bun.YAML.parse(text);
  } catch (cause) {
    throw new GantryError("invalid", `${file} is not valid YAML: ${messageOf(cause)}`, { cause });
  }
  if (value === null || value === undefined) return { registries: noRegistriesConfig };
  if (typeof value !== "object" || Array.isArray(value))
    throw new GantryError("invalid", `${file} does not hold a map`);
  for (const key of Object.keys(value))
    if (key !== "registries")
      throw new GantryError("invalid", `${file} has no setting ${JSON.stringify(key)}`, {
        hint: "there is: registries",
      });
  return {
    registries: parseRegistriesConfig("registries" in value ? value.registries : {}, `${file}: registries`),
  };
}
