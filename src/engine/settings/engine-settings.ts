/** What all settings together mean: one value with everything that the engine is told. */
import { noRegistriesConfig, type RegistriesConfig } from "../../distribution/index.ts";
import type { SnapshotterWish } from "../../image/index.ts";
import type { LogLevel } from "../../lib/index.ts";
import type { NetworkDefaults } from "../../network/index.ts";
import { engineDefaults, type EngineDefaults } from "../engine-defaults.ts";

export interface EngineSettings {
  readonly root: string;
  readonly state: string;
  /** Addresses to listen on beside STATE/engine.sock. */
  readonly hosts: readonly string[];
  /** Absent: TCP without TLS. */
  readonly tls: TlsFiles | undefined;
  /** The user has said that clients need no certificate (`--tls=false`, `--tlsverify=false`). */
  readonly open: boolean;
  /** Who may use the sockets; undefined: docker, if there is such a group. */
  readonly group: string | undefined;
  /** How new layers of images are kept. */
  readonly snapshotter: SnapshotterWish;
  readonly network: NetworkDefaults;
  readonly live: LiveSettings;
}

export interface TlsFiles {
  /** Clients must have a certificate that `ca` has signed. */
  readonly verify: boolean;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** What a reload changes. */
export interface LiveSettings {
  readonly logLevel: LogLevel;
  readonly labels: readonly string[];
  /** `HOST:PORT` of GET /metrics for whoever asks. */
  readonly metricsAddress: string | undefined;
  /** For the containers of a host that goes down. */
  readonly shutdownTimeoutMs: number;
  readonly registries: RegistriesConfig;
  readonly proxies: Proxies;
  readonly transfers: Transfers;
  /** Name to program. */
  readonly runtimes: Readonly<Record<string, string>>;
  readonly containers: EngineDefaults;
}

/** "": as the environment says. */
export interface Proxies {
  readonly http: string;
  readonly https: string;
  readonly no: string;
}

export interface Transfers {
  readonly downloads: number;
  readonly uploads: number;
  readonly attempts: number;
}

/** When nothing is set. */
export const usualLiveSettings: LiveSettings = {
  logLevel: "info",
  labels: [],
  metricsAddress: undefined,
  shutdownTimeoutMs: 15_000,
  registries: noRegistriesConfig,
  proxies: { http: "", https: "", no: "" },
  transfers: { downloads: 3, uploads: 5, attempts: 5 },
  runtimes: {},
  containers: engineDefaults,
};
