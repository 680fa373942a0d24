/** `--docker` of `context create` and `update`: `host=…,ca=…,cert=…,key=…,skip-tls-verify=…` or `from=CONTEXT`. */
import { readFileSync } from "node:fs";
import { parseTarget } from "../connection/address.ts";
import { CliError } from "../errors.ts";
import { parseCsv } from "../flags/csv.ts";
import type { ContextStore, DockerEndpoint, TlsFiles } from "./context-store.ts";

export interface EndpointWithTls {
  readonly endpoint: DockerEndpoint;
  readonly tls: TlsFiles;
}

const keys = ["from", "host", "ca", "cert", "key", "skip-tls-verify"];

/** @throws {CliError} in docker's words */
export function endpointOfOption(text: string, store: ContextStore): EndpointWithTls {
  const values = readKeys(text);
  const from = values.get("from") ?? "";
  if (from !== "") return endpointOfContext(from, store);
  const host = values.get("host") ?? "";
  try {
    parseTarget(host);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    throw refused(
      `unable to apply docker endpoint options: unable to parse docker host \`${host}\``,
      error.hint,
    );
  }
  const skip = values.get("skip-tls-verify") ?? "false";
  if (!/^(?:true|false|1|0)$/i.test(skip))
    throw refused(`skip-tls-verify: parsing ${JSON.stringify(skip)}: invalid syntax`);
  const tls: Record<string, Uint8Array> = {};
  for (const key of ["ca", "cert", "key"]) {
    const path = values.get(key) ?? "";
    if (path !== "") tls[`${key}.pem`] = readPem(path);
  }
  return { endpoint: { Host: host, SkipTLSVerify: /^(?:true|1)$/i.test(skip) }, tls };
}

export function endpointOfContext(name: string, store: ContextStore): EndpointWithTls {
  const endpoint = store.read(name).Endpoints.docker;
  if (endpoint === undefined)
    throw new CliError(`context ${JSON.stringify(name)} has no docker endpoint`, { bare: true });
  return { endpoint, tls: store.readTls(name) };
}

function readKeys(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const field of parseCsv(text)) {
    const at = field.indexOf("=");
    const key = at < 0 ? field : field.slice(0, at);
    if (!keys.includes(key))
      throw refused(`unrecognized config key: ${key}`, `there are: ${keys.join(", ")}`);
    values.set(key, at < 0 ? "" : field.slice(at + 1));
  }
  return values;
}

function readPem(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw refused(`open ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function refused(why: string, hint?: string): CliError {
  return new CliError(`unable to create docker endpoint config: ${why}`, { bare: true, hint });
}
