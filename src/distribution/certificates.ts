/**
 * Certificates for a registry: those its settings name, and docker's directories, where `*.crt` are authorities and
 * `NAME.cert` with `NAME.key` is what we show of ourselves.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GantryError, isErrno, toGantryError } from "../lib/index.ts";
import type { RegistrySettings } from "./settings.ts";

export interface Certificates {
  /** PEM of authorities, beside the system's. */
  readonly ca: readonly string[];
  readonly cert?: string;
  readonly key?: string;
}

const directories = ["/etc/gantry/certs.d", "/etc/docker/certs.d"];
/** Below the user's home; the last is rootless docker's. */
const homeDirectories = [".config/gantry/certs.d", ".config/docker/certs.d", ".docker/certs.d"];

/**
 * @param hosts the registry's names, with port: `docker.io` has two
 * @throws {GantryError} "not-found", "denied", naming the file; "invalid" for a certificate without key
 */
export function readCertificates(
  hosts: readonly string[],
  settings: RegistrySettings,
  home: string | undefined,
): Certificates {
  const ca: string[] = [];
  let pair: { readonly cert: string; readonly key: string } | undefined;
  const own = home === undefined ? [] : homeDirectories.map((dir) => join(home, dir));
  // A host has neither slash nor dots alone: it cannot lead out of the directory.
  for (const dir of [...directories, ...own].flatMap((place) => hosts.map((host) => join(place, host)))) {
    for (const name of namesIn(dir)) {
      if (name.endsWith(".crt")) ca.push(read(join(dir, name)));
      if (!name.endsWith(".cert") || pair !== undefined) continue;
      const key = join(dir, name.replace(/\.cert$/, ".key"));
      if (!existsSync(key))
        throw new GantryError("invalid", `the certificate ${join(dir, name)} lacks its key ${key}`);
      pair = { cert: read(join(dir, name)), key: read(key) };
    }
  }
  if (settings.ca !== undefined) ca.push(read(settings.ca));
  if (settings.cert !== undefined && settings.key !== undefined)
    pair = { cert: read(settings.cert), key: read(settings.key) };
  return { ca, ...pair };
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir).sort();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "EACCES")) return [];
    throw toGantryError(error, `read ${dir}`);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw toGantryError(error, `read the certificate ${path}`);
  }
}
