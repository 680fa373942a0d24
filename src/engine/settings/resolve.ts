/** Judges values and completes them: from what was given to what the engine is told. Reads the profile file, changes nothing. */
import { parseRegistriesConfig, type RegistriesConfig, withRegistryFlags } from "../../distribution/index.ts";
import { snapshotters, type SnapshotterWish } from "../../image/index.ts";
import type { LogLevel } from "../../lib/index.ts";
import type { NetworkDefaults } from "../../network/index.ts";
import { parseListenAddress } from "../api/listen-address.ts";
import { defaultRoot, defaultState, enginePaths } from "../paths.ts";
import { parseAddRuntime } from "../runtimes.ts";
import { resolveContainerDefaults } from "./container-defaults.ts";
import type { EngineSettings, LiveSettings, TlsFiles } from "./engine-settings.ts";
import { isMap, type Values } from "./given.ts";
import { resolvePools } from "./pools.ts";

export interface Surroundings {
  /** Where docker's certificates are: `DOCKER_CERT_PATH`, else `~/.docker`. */
  readonly certificates: string;
}

/** @throws {GantryError} "invalid", naming the flag or the line */
export function resolveSettings(values: Values, { certificates }: Surroundings): EngineSettings {
  values.checkFixed();
  const root = clean(values.text("root") ?? defaultRoot);
  const state = clean(values.text("state") ?? defaultState);
  enginePaths(root, state);
  const hosts = values.texts("hosts");
  for (const host of hosts) parseListenAddress(host);
  return {
    root,
    state,
    hosts,
    tls: resolveTls(values, certificates),
    open: values.switch("tls") === false || values.switch("tlsverify") === false,
    group: values.text("group"),
    snapshotter: resolveSnapshotter(values),
    network: resolveNetwork(values),
    live: resolveLive(values),
  };
}

/** As dockerd: any of the flags but `--tls=false` means TLS; `--tlsverify` asks clients for certificates. */
function resolveTls(values: Values, directory: string): TlsFiles | undefined {
  const verify = values.switch("tlsverify") ?? false;
  const files = ["tlscacert", "tlscert", "tlskey"].some((key) => values.text(key) !== undefined);
  if (!verify && !(values.switch("tls") ?? files)) return undefined;
  return {
    verify,
    ca: values.text("tlscacert") ?? `${directory}/ca.pem`,
    cert: values.text("tlscert") ?? `${directory}/cert.pem`,
    key: values.text("tlskey") ?? `${directory}/key.pem`,
  };
}

function resolveSnapshotter(values: Values): SnapshotterWish {
  const word = values.text("snapshotter") ?? "auto";
  const wish = (["auto", ...snapshotters] as const).find((name) => name === word);
  if (wish !== undefined) return wish;
  throw values.bad("snapshotter", "auto, overlay or erofs is wanted");
}

function resolveNetwork(values: Values): NetworkDefaults {
  const mtu = values.number("mtu", 0, 65_535) ?? 0;
  // IPv4 demands 68 (RFC 791).
  if (mtu > 0 && mtu < 68) throw values.bad("mtu", "68 or more is wanted");
  return { mtu, ...resolvePools(values) };
}

function resolveLive(values: Values): LiveSettings {
  const runtimes = resolveRuntimes(values);
  return {
    logLevel: resolveLogLevel(values),
    labels: values.texts("labels").map((label) => {
      if (/^[^=\s][^=]*(?:=|$)/.test(label)) return label;
      throw values.bad("labels", "NAME or NAME=VALUE is wanted", label);
    }),
    metricsAddress: resolveMetricsAddress(values),
    shutdownTimeoutMs: (values.number("shutdown-timeout", -1, 86_400) ?? 15) * 1000,
    registries: resolveRegistries(values),
    proxies: {
      http: values.text("http-proxy") ?? "",
      https: values.text("https-proxy") ?? "",
      no: values.text("no-proxy") ?? "",
    },
    transfers: {
      downloads: values.number("max-concurrent-downloads", 1, 1000) ?? 3,
      uploads: values.number("max-concurrent-uploads", 1, 32) ?? 5,
      attempts: values.number("max-download-attempts", 1, 100) ?? 5,
    },
    runtimes,
    containers: resolveContainerDefaults(values, runtimes),
  };
}

/** `fatal` is dockerd's word for what never returns: here errors are the most there is. */
const levels: Readonly<Record<string, LogLevel>> = {
  trace: "debug",
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "error",
  fatal: "error",
};

function resolveLogLevel(values: Values): LogLevel {
  const word = values.text("log-level") ?? "info";
  const level = levels[word];
  if (level === undefined) throw values.bad("log-level", "debug, info, warn, error or fatal is wanted");
  return values.switch("debug") === true ? "debug" : level;
}

function resolveMetricsAddress(values: Values): string | undefined {
  const text = values.text("metrics-addr");
  if (text === undefined || text === "") return undefined;
  const address = text.startsWith("unix") || text.startsWith("fd") ? undefined : `tcp://${text}`;
  try {
    if (address !== undefined && /:\d+$/.test(address))
      return parseListenAddress(address).is === "tcp" ? text : undefined;
  } catch (cause) {
    throw values.bad("metrics-addr", `ADDRESS:PORT is wanted (${String(cause)})`);
  }
  throw values.bad("metrics-addr", "ADDRESS:PORT is wanted");
}

function resolveRegistries(values: Values): RegistriesConfig {
  const given = values.get("registries");
  const hosts = parseRegistriesConfig(given?.value ?? {}, given?.where ?? "registries");
  return withRegistryFlags(hosts, values.texts("registry-mirrors"), values.texts("insecure-registries"));
}

/** In the file as dockerd has them: name to `{path: PROGRAM}`. */
function resolveRuntimes(values: Values): Readonly<Record<string, string>> {
  const entries = Object.entries(values.map("runtimes")).map(([name, item]) => {
    if (typeof item === "string") return parseAddRuntime(`${name}=${item}`);
    const { path, ...others } = isMap(item) ? item : {};
    const [other] = Object.keys(others);
    if (other !== undefined)
      throw values.bad("runtimes", `a runtime has a path and nothing else, not ${other}`, item);
    if (typeof path !== "string")
      throw values.bad("runtimes", "a map from names to {path: PROGRAM} is wanted", item);
    return parseAddRuntime(`${name}=${path}`);
  });
  return Object.fromEntries(entries);
}

/** No slash at the end: the directories' names make the engine's instance name. */
function clean(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}
