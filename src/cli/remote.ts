/** What the commands that speak to registries themselves, without an engine, have in common. */
import {
  type AuthConfig,
  DockerConfig,
  noRegistriesConfig,
  Registries,
  type RegistriesConfig,
  withRegistryFlags,
} from "../distribution/index.ts";
import { type ImageSource, parseReference, type Reference, withDefaultTag } from "../image/index.ts";
import type { Invocation } from "./command.ts";
import { withCliErrors } from "./connection/credentials.ts";
import { CliError } from "./errors.ts";
import type { Flag } from "./flags/flag.ts";
import { clientVersion } from "./version.ts";

export const remoteFlags: readonly Flag[] = [
  { name: "creds", kind: "string", help: "USER:PASSWORD for the registry (without: what login has kept)" },
  { name: "insecure", kind: "bool", help: "Neither demand TLS nor check certificates" },
];

/** The registries with the settings that flags ask for. @param hosts that `--insecure` and the like concern */
export function registriesFor(insecureHosts: readonly string[]): Registries {
  const config: RegistriesConfig = withRegistryFlags(noRegistriesConfig, [], insecureHosts);
  return new Registries({ config, userAgent: `gantry/${clientVersion}` });
}

/** @param given `USER:PASSWORD`; empty: what login has kept */
export async function authFor(host: string, given: string): Promise<AuthConfig> {
  if (given === "") return new DockerConfig().credentials(host);
  const colon = given.indexOf(":");
  return colon < 0
    ? { username: given, password: "" }
    : { username: given.slice(0, colon), password: given.slice(colon + 1) };
}

export interface Remote {
  readonly reference: Reference;
  readonly registries: Registries;
  readonly auth: AuthConfig;
}

/** The registry of a command's first argument, `docker://` before it or not. @throws {CliError} */
export async function remoteOf({ flags, args: [name = ""] }: Invocation): Promise<Remote> {
  const reference = withDefaultTag(parseReference(name.replace(/^docker:\/\//, "")));
  const registries = registriesFor(flags.bool("insecure") ? [reference.domain] : []);
  return { reference, registries, auth: await authFor(reference.domain, flags.text("creds")) };
}

/** Opens the repository, works on it, closes it. @throws {CliError} */
export async function withRemote<T>(
  call: Invocation,
  work: (source: ImageSource, remote: Remote) => Promise<T>,
): Promise<T> {
  return withCliErrors(async () => {
    const remote = await remoteOf(call);
    await using source = await remote.registries.source(remote.reference, remote.auth);
    return await work(source, remote);
  });
}

/** A small blob of JSON, such as a config. @throws {CliError} when it is too large to be one */
export async function readJsonBlob(
  source: ImageSource,
  blob: Parameters<ImageSource["blob"]>[0],
): Promise<unknown> {
  if (blob.size > 8 << 20) throw new CliError(`the blob ${blob.digest} is too large for a config`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of source.blob(blob)) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString("utf8")) as unknown;
}
