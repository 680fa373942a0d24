/**
 * What the user says about registries: mirrors, plain HTTP, certificates. The `registries` section of the engine's
 * configuration, the engine's flags and docker's `certs.d` directories come together here.
 */
import { GantryError } from "../lib/index.ts";
import { inSubnet, isLoopback } from "./proxy.ts";

export interface RegistrySettings {
  /** Base addresses that are asked first when pulling, in order. */
  readonly mirrors: readonly string[];
  /** Certificates are not checked, and plain HTTP will do. */
  readonly insecure: boolean;
  /** PEM files. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface RegistriesConfig {
  /** By host, with its port where it has one: `docker.io`, `registry.example.com:5000`. */
  readonly hosts: Readonly<Record<string, Partial<RegistrySettings>>>;
  /** Hosts and subnets of which all registries are insecure. */
  readonly insecure: readonly string[];
}

export const noRegistriesConfig: RegistriesConfig = { hosts: {}, insecure: [] };

/** Settings of one host, with loopback and subnets taken into account. */
export function settingsOf(config: RegistriesConfig, host: string): RegistrySettings {
  const given = config.hosts[host] ?? {};
  const name = host.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  const matches = (rule: string): boolean =>
    rule === host || rule === name || (rule.includes("/") && inSubnet(rule, name));
  return {
    mirrors: given.mirrors ?? [],
    insecure: given.insecure ?? (isLoopback(name) || config.insecure.some(matches)),
    ca: given.ca,
    cert: given.cert,
    key: given.key,
  };
}

/**
 * The `registries` section of a configuration file: host to `{mirrors, insecure, ca, cert, key}`.
 * @throws {GantryError} "invalid", naming the key
 */
export function parseRegistriesConfig(value: unknown, at = "registries"): RegistriesConfig {
  const hosts: Record<string, Partial<RegistrySettings>> = {};
  for (const [host, section] of Object.entries(objectOf(value ?? {}, at))) {
    if (!/^[A-Za-z0-9.[\]:-]+$/.test(host)) throw invalid(`${at}: ${JSON.stringify(host)} is no host`);
    const where = `${at}.${host}`;
    const settings: { -readonly [K in keyof RegistrySettings]?: RegistrySettings[K] } = {};
    for (const [key, item] of Object.entries(objectOf(section ?? {}, where))) {
      if (key === "mirrors") {
        if (!Array.isArray(item)) throw invalid(`${where}.mirrors is not a list`);
        settings.mirrors = item.map((mirror) => parseBase(textOf(mirror, `${where}.mirrors`)));
      } else if (key === "insecure") {
        if (typeof item !== "boolean") throw invalid(`${where}.insecure is neither true nor false`);
        settings.insecure = item;
      } else if (key === "ca" || key === "cert" || key === "key")
        settings[key] = textOf(item, `${where}.${key}`);
      else
        throw invalid(
          `${where} has no setting ${JSON.stringify(key)}`,
          "there are: mirrors insecure ca cert key",
        );
    }
    if ((settings.cert === undefined) !== (settings.key === undefined))
      throw invalid(`${where}: cert and key go together`);
    hosts[host] = settings;
  }
  return { hosts, insecure: [] };
}

/**
 * Adds the engine's flags `--registry-mirror [HOST=]URL` (docker.io without host) and `--insecure-registry HOST|SUBNET`.
 * @throws {GantryError} "invalid"
 */
export function withRegistryFlags(
  config: RegistriesConfig,
  mirrors: readonly string[],
  insecure: readonly string[],
): RegistriesConfig {
  const hosts = { ...config.hosts };
  for (const flag of mirrors) {
    const match = /^([A-Za-z0-9.[\]:-]+)=(.+)$/.exec(flag);
    const host = match?.[1] ?? "docker.io";
    const settings = hosts[host] ?? {};
    hosts[host] = { ...settings, mirrors: [...(settings.mirrors ?? []), parseBase(match?.[2] ?? flag)] };
  }
  for (const rule of insecure)
    if (!/^[A-Za-z0-9.[\]:-]+(?:\/\d{1,3})?$/.test(rule))
      throw invalid(`invalid --insecure-registry ${JSON.stringify(rule)}: a host or a subnet is wanted`);
  return { hosts, insecure: [...config.insecure, ...insecure] };
}

/** @throws {GantryError} "invalid" unless it is an http or https address with neither query nor user */
function parseBase(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    url.search !== "" ||
    url.hash !== "" ||
    url.username !== ""
  )
    throw invalid(
      `invalid mirror ${JSON.stringify(text.slice(0, 200))}: an address such as https://mirror.example.com is wanted`,
    );
  return url.href.replace(/\/+$/, "");
}

function objectOf(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(`${at} is not a map`);
  return value as Readonly<Record<string, unknown>>;
}

function textOf(value: unknown, at: string): string {
  if (typeof value !== "string" || value === "") throw invalid(`${at} is not a text`);
  return value;
}

function invalid(message: string, hint?: string): GantryError {
  return new GantryError("invalid", message, hint === undefined ? {} : { hint });
}
