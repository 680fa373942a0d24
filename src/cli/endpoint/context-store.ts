/**
 * Docker's contexts, where docker's client keeps them, so that both have the same: `contexts/meta/ID/meta.json` and
 * `contexts/tls/ID/docker/*.pem` in its configuration directory; ID is the SHA-256 of the name.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sha256 } from "../../lib/index.ts";
import { CliError, hasErrno } from "../errors.ts";
import { dockerDirectory } from "./docker-directory.ts";

export interface DockerEndpoint {
  readonly Host: string;
  readonly SkipTLSVerify: boolean;
}

/** meta.json; what others keep in it stays. */
export interface ContextMeta {
  readonly Name: string;
  readonly Metadata: Readonly<Record<string, unknown>> & { readonly Description?: string };
  readonly Endpoints: Readonly<Record<string, unknown>> & { readonly docker?: DockerEndpoint };
}

export const tlsFiles = ["ca.pem", "cert.pem", "key.pem"] as const;
export type TlsFiles = Readonly<Partial<Record<(typeof tlsFiles)[number], Uint8Array>>>;

export class ContextStore {
  readonly #root: string;

  private constructor(directory: string) {
    this.#root = join(directory, "contexts");
  }

  static async open(): Promise<ContextStore> {
    return new ContextStore(await dockerDirectory());
  }

  metaDirectory(name: string): string {
    return join(this.#root, "meta", idOf(name));
  }

  tlsDirectory(name: string): string {
    return join(this.#root, "tls", idOf(name));
  }

  /** All, by name. Damaged ones are left out. */
  list(): readonly ContextMeta[] {
    const directory = join(this.#root, "meta");
    const found = namesIn(directory).flatMap((id) => {
      const meta = readMeta(join(directory, id, "meta.json"));
      return meta === undefined ? [] : [meta];
    });
    return found.sort((a, b) => (a.Name < b.Name ? -1 : 1));
  }

  has(name: string): boolean {
    return this.#tryRead(name) !== undefined;
  }

  /** @throws {CliError} when there is none of this name, or it is damaged */
  read(name: string): ContextMeta {
    const meta = this.#tryRead(name);
    if (meta !== undefined) return meta;
    const path = join(this.metaDirectory(name), "meta.json");
    throw new CliError(
      `context ${JSON.stringify(name)}: context not found: open ${path}: no such file or directory`,
      {
        bare: true,
        hint: "see what there is with: gantry context ls",
      },
    );
  }

  #tryRead(name: string): ContextMeta | undefined {
    return readMeta(join(this.metaDirectory(name), "meta.json"));
  }

  /** The certificates of its endpoint. */
  readTls(name: string): TlsFiles {
    const files: Partial<Record<(typeof tlsFiles)[number], Uint8Array>> = {};
    for (const file of tlsFiles) {
      const bytes = tryRead(join(this.tlsDirectory(name), "docker", file));
      if (bytes !== undefined) files[file] = bytes;
    }
    return files;
  }

  /** Writes a context, new or in the place of the one of its name. */
  write(meta: ContextMeta, tls: TlsFiles): void {
    const directory = join(this.tlsDirectory(meta.Name), "docker");
    rmSync(this.tlsDirectory(meta.Name), { recursive: true, force: true });
    for (const [file, bytes] of Object.entries(tls)) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      writeFileSync(join(directory, file), bytes, { mode: 0o600 });
    }
    // Last, in one go: a context is there when this file is.
    const path = join(this.metaDirectory(meta.Name), "meta.json");
    mkdirSync(this.metaDirectory(meta.Name), { recursive: true, mode: 0o755 });
    writeFileSync(`${path}.${process.pid}`, JSON.stringify(meta), { mode: 0o644 });
    renameSync(`${path}.${process.pid}`, path);
  }

  remove(name: string): void {
    rmSync(this.metaDirectory(name), { recursive: true, force: true });
    rmSync(this.tlsDirectory(name), { recursive: true, force: true });
  }
}

const idOf = (name: string): string => sha256(name).slice("sha256:".length);

function readMeta(path: string): ContextMeta | undefined {
  const bytes = tryRead(path);
  if (bytes === undefined) return undefined;
  try {
    return asMeta(JSON.parse(Buffer.from(bytes).toString()));
  } catch {
    // Not JSON: as if it were not there, so that the others can be used.
    return undefined;
  }
}

/** Undefined for what is no context. */
export function asMeta(value: unknown): ContextMeta | undefined {
  if (typeof value !== "object" || value === null || !("Name" in value) || typeof value.Name !== "string")
    return undefined;
  const parts = value as { readonly Metadata?: object | null; readonly Endpoints?: object | null };
  const endpoints = { ...parts.Endpoints };
  const docker = "docker" in endpoints ? asEndpoint(endpoints.docker) : undefined;
  return {
    Name: value.Name,
    Metadata: { ...parts.Metadata },
    Endpoints: { ...endpoints, ...(docker === undefined ? {} : { docker }) },
  };
}

function asEndpoint(value: unknown): DockerEndpoint {
  const { Host, SkipTLSVerify } = { ...(value as Partial<Record<keyof DockerEndpoint, unknown>> | null) };
  return { Host: typeof Host === "string" ? Host : "", SkipTLSVerify: SkipTLSVerify === true };
}

function tryRead(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
}
