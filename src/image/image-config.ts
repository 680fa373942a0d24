/** The image config (image-spec config.md) read from foreign bytes and written by us. */
import { type Digest, GantryError, isDigest } from "../lib/index.ts";
import type { ContainerDefaults, HealthcheckConfig, HistoryEntry, ImageConfig } from "./types.ts";

/** A larger config is refused: it is kept in memory. */
export const maxConfigBytes = 4 << 20;
/** As many layers as overlayfs stacks. */
const maxLayers = 500;

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Parses any JSON document of an archive. @param what names it in errors */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new GantryError("corrupt", `${what} is not valid JSON`, { cause });
  }
}

/** Reads fields and names the one that is wrong. `null` counts as absent, as Go writes it. */
export class Fields {
  readonly #json: Json;
  readonly #what: string;

  /** @throws {GantryError} "corrupt" when `value` is not an object */
  constructor(value: unknown, what: string) {
    if (!isObject(value)) throw new GantryError("corrupt", `${what} is not a JSON object`);
    this.#json = value;
    this.#what = what;
  }

  raw(key: string): unknown {
    return this.#json[key] ?? undefined;
  }

  text(key: string): string | undefined {
    return this.#typed(key, "a text", (value): value is string => typeof value === "string");
  }

  number(key: string): number | undefined {
    return this.#typed(
      key,
      "a number",
      (value): value is number => typeof value === "number" && Number.isSafeInteger(value),
    );
  }

  flag(key: string): boolean | undefined {
    return this.#typed(key, "true or false", (value): value is boolean => typeof value === "boolean");
  }

  list(key: string): readonly unknown[] | undefined {
    return this.#typed(key, "a list", (value): value is unknown[] => Array.isArray(value));
  }

  texts(key: string): readonly string[] | undefined {
    return this.#typed(
      key,
      "a list of texts",
      (value): value is string[] => Array.isArray(value) && value.every((item) => typeof item === "string"),
    );
  }

  object(key: string): Fields | undefined {
    const value = this.raw(key);
    return value === undefined ? undefined : new Fields(value, `${key} of ${this.#what}`);
  }

  /** The names of a set, which is an object with empty objects as values. */
  set(key: string): Readonly<Record<string, object>> | undefined {
    const value = this.#typed(key, "an object", isObject);
    return value === undefined ? undefined : Object.fromEntries(Object.keys(value).map((name) => [name, {}]));
  }

  map(key: string): Readonly<Record<string, string>> | undefined {
    const value = this.#typed(key, "an object", isObject);
    if (value === undefined) return undefined;
    return Object.fromEntries(
      Object.entries(value).map(([name, text]) => {
        if (typeof text !== "string") throw this.#wrong(`${key}.${name}`, "a text");
        return [name, text];
      }),
    );
  }

  #typed<T>(key: string, wanted: string, check: (value: unknown) => value is T): T | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (!check(value)) throw this.#wrong(key, wanted);
    return value;
  }

  #wrong(key: string, wanted: string): GantryError {
    return new GantryError("corrupt", `${key} of ${this.#what} is not ${wanted}`);
  }
}

/** Drops what is undefined, so that optional fields are absent. */
function present<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/**
 * Reads an image config.
 * @throws {GantryError} "corrupt" for a wrong shape, "unsupported" for an image that is not for Linux
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  if (bytes.length > maxConfigBytes)
    throw new GantryError("corrupt", `the image config is larger than ${maxConfigBytes} bytes`);
  const fields = new Fields(parseJson(bytes, "the image config"), "the image config");
  const os = fields.text("os") ?? "linux";
  if (os !== "linux")
    throw new GantryError("unsupported", `the image is for ${JSON.stringify(os)}, not for linux`);
  return present<ImageConfig>({
    architecture: fields.text("architecture") ?? "",
    os,
    variant: fields.text("variant"),
    created: fields.text("created"),
    author: fields.text("author"),
    config: parseDefaults(fields.object("config")),
    rootfs: { type: "layers", diff_ids: parseDiffIds(fields.object("rootfs")) },
    history: (fields.list("history") ?? []).map(parseHistory),
  });
}

function parseDiffIds(rootfs: Fields | undefined): readonly Digest[] {
  const ids = rootfs?.texts("diff_ids") ?? [];
  if (ids.length > maxLayers)
    throw new GantryError(
      "unsupported",
      `an image may have at most ${maxLayers} layers, this one has ${ids.length}`,
    );
  return ids.map((id) => {
    if (isDigest(id) && id.startsWith("sha256:")) return id;
    throw new GantryError(
      "corrupt",
      `the image config has an invalid diff_id: ${JSON.stringify(id.slice(0, 160))}`,
    );
  });
}

function parseHistory(value: unknown): HistoryEntry {
  const fields = new Fields(value, "history of the image config");
  return present<HistoryEntry>({
    created: fields.text("created"),
    created_by: fields.text("created_by"),
    author: fields.text("author"),
    comment: fields.text("comment"),
    empty_layer: fields.flag("empty_layer"),
  });
}

function parseDefaults(fields: Fields | undefined): ContainerDefaults {
  if (fields === undefined) return {};
  return present<ContainerDefaults>({
    User: fields.text("User"),
    ExposedPorts: fields.set("ExposedPorts"),
    Env: fields.texts("Env"),
    Entrypoint: fields.texts("Entrypoint"),
    Cmd: fields.texts("Cmd"),
    Volumes: fields.set("Volumes"),
    WorkingDir: fields.text("WorkingDir"),
    Labels: fields.map("Labels"),
    StopSignal: fields.text("StopSignal"),
    StopTimeout: fields.number("StopTimeout"),
    Shell: fields.texts("Shell"),
    OnBuild: fields.texts("OnBuild"),
    Healthcheck: parseHealthcheck(fields.object("Healthcheck")),
    ArgsEscaped: fields.flag("ArgsEscaped"),
  });
}

function parseHealthcheck(fields: Fields | undefined): HealthcheckConfig | undefined {
  if (fields === undefined) return undefined;
  return present<HealthcheckConfig>({
    Test: fields.texts("Test"),
    Interval: fields.number("Interval"),
    Timeout: fields.number("Timeout"),
    StartPeriod: fields.number("StartPeriod"),
    StartInterval: fields.number("StartInterval"),
    Retries: fields.number("Retries"),
  });
}

/** The bytes whose digest is the image's id: fields in a fixed order, absent ones left out. */
export function formatImageConfig(config: ImageConfig): Uint8Array {
  const { architecture, variant, author, config: defaults, created, history, os, rootfs } = config;
  return Buffer.from(
    JSON.stringify({ architecture, variant, author, config: defaults, created, history, os, rootfs }),
  );
}

/** This machine's architecture in the words of Go and OCI. */
export function hostArchitecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}
