/** What the engine does for every container that does not say otherwise: flags and configuration file. Pure. */
import type { ContainerRecord, HostConfig, Ulimit } from "./container.ts";
import { defaultHostConfig } from "./create-defaults.ts";
import type { IdMaps } from "./users/id-maps.ts";

export interface EngineDefaults {
  /** A small init is process 1 (`--init`). */
  readonly init: boolean;
  /** "": our own. */
  readonly runtime: string;
  readonly log: HostConfig["LogConfig"];
  readonly ulimits: readonly Ulimit[];
  readonly shmSize: number;
  readonly ipcMode: string;
  /** undefined: private where there is cgroup v2. */
  readonly cgroupnsMode: string | undefined;
  readonly cgroupParent: string;
  readonly noNewPrivileges: boolean;
  /** As `--security-opt seccomp=`: "unconfined", or a profile as JSON; undefined: the built-in one. */
  readonly seccomp: string | undefined;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  /** Where ports are published that name no address; "": everywhere. */
  readonly publishIp: string;
  /** Ids of the host that containers have as theirs, each in a user namespace (`--userns-remap`). */
  readonly idMaps?: IdMaps | undefined;
}

export const engineDefaults: EngineDefaults = {
  init: false,
  runtime: "",
  log: { Type: "json-file", Config: {} },
  ulimits: [],
  shmSize: defaultHostConfig.ShmSize,
  ipcMode: "private",
  cgroupnsMode: undefined,
  cgroupParent: "",
  noNewPrivileges: false,
  seccomp: undefined,
  dns: [],
  dnsSearch: [],
  dnsOptions: [],
  publishIp: "",
};

/** Settings that a request left to the engine, where the record cannot tell. */
export type Unset = "ShmSize" | "IpcMode" | "CgroupnsMode" | "LogDriver";

/** `--init`, or the engine's default. */
export function usesInit(defaults: EngineDefaults, { host }: Pick<ContainerRecord, "host">): boolean {
  return host.Init ?? defaults.init;
}

/** What a new container is recorded with: later changes of the defaults are for others. */
export function withEngineDefaults(
  host: HostConfig,
  unset: readonly Unset[],
  defaults: EngineDefaults,
): HostConfig {
  const named = new Set(host.Ulimits.map(({ Name }) => Name));
  const confines = (option: string): boolean => /^no-new-privileges\b/.test(option);
  return {
    ...host,
    Runtime: host.Runtime || defaults.runtime,
    LogConfig: logConfig(host.LogConfig, unset.includes("LogDriver"), defaults.log),
    Ulimits: [...host.Ulimits, ...defaults.ulimits.filter(({ Name }) => !named.has(Name))],
    CgroupParent: host.CgroupParent || defaults.cgroupParent,
    SecurityOpt:
      defaults.noNewPrivileges && !host.SecurityOpt.some(confines)
        ? [...host.SecurityOpt, "no-new-privileges"]
        : host.SecurityOpt,
    ...(unset.includes("ShmSize") ? { ShmSize: defaults.shmSize } : {}),
    ...(unset.includes("IpcMode") ? { IpcMode: defaults.ipcMode } : {}),
    ...(unset.includes("CgroupnsMode") && defaults.cgroupnsMode !== undefined
      ? { CgroupnsMode: defaults.cgroupnsMode }
      : {}),
  };
}

/** The default's options are for containers of its driver, as with dockerd. */
function logConfig(
  asked: HostConfig["LogConfig"],
  unset: boolean,
  usual: HostConfig["LogConfig"],
): HostConfig["LogConfig"] {
  const Type = unset ? usual.Type : asked.Type;
  return { Type, Config: Type === usual.Type ? { ...usual.Config, ...asked.Config } : asked.Config };
}
