/** What we know of registries, from docker's configuration, as headers for the engine. */
import { type AuthConfig, DockerConfig } from "../../distribution/index.ts";
import { parseReference } from "../../image/index.ts";
import { GantryError } from "../../lib/index.ts";
import { CliError } from "../errors.ts";

/** X-Registry-Auth for the registry of a name. @throws {CliError} */
export async function authHeader(name: string): Promise<Readonly<Record<string, string>>> {
  const auth = await withCliErrors(async () => new DockerConfig().credentials(parseReference(name).domain));
  return encodeAuth(auth);
}

export function encodeAuth(auth: AuthConfig): Readonly<Record<string, string>> {
  return Object.keys(auth).length === 0 ? {} : { "X-Registry-Auth": encoded(auth) };
}

/** X-Registry-Config: all registries, for builds and repairs, which name several. */
export async function configHeader(): Promise<Readonly<Record<string, string>>> {
  const all = await withCliErrors(async () => new DockerConfig().all());
  return Object.keys(all).length === 0 ? {} : { "X-Registry-Config": encoded(all) };
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Errors of the rooms below as the command line prints them. */
export async function withCliErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof GantryError)) throw error;
    throw new CliError(error.message, error.hint === undefined ? {} : { hint: error.hint });
  }
}
