/** GET /version and GET /info (Docker Engine API 1.50). Pure but for the machine's facts, which are handed in. */
import type { ImageStore } from "../../image/index.ts";
import type { ContainerView } from "./wire-container.ts";
import type { LiveSettings } from "../settings/engine-settings.ts";
import { engineVersion, type MachineFacts } from "./machine.ts";
import { newestVersion, oldestVersion } from "./router.ts";
import { driverNames } from "./wire-image.ts";

export function wireVersion(host: MachineFacts): object {
  const details = {
    ApiVersion: newestVersion.join("."),
    Arch: host.architecture,
    BuildTime: "",
    Experimental: "false",
    GitCommit: "",
    GoVersion: `bun${Bun.version}`,
    KernelVersion: host.kernel,
    MinAPIVersion: oldestVersion.join("."),
    Os: "linux",
  };
  return {
    Platform: { Name: "Gantry" },
    Components: [{ Name: "Engine", Version: engineVersion, Details: details }],
    Version: engineVersion,
    ApiVersion: details.ApiVersion,
    MinAPIVersion: details.MinAPIVersion,
    GitCommit: "",
    GoVersion: details.GoVersion,
    Os: "linux",
    Arch: host.architecture,
    KernelVersion: host.kernel,
    BuildTime: "",
  };
}

export interface InfoInput {
  readonly id: string;
  readonly root: string;
  /** The file system that the root directory is on. */
  readonly fileSystem: string;
  readonly host: MachineFacts;
  readonly containers: readonly ContainerView[];
  readonly images: number;
  readonly snapshotter: ImageStore["snapshotter"];
  readonly settings: LiveSettings;
  readonly listeners: number;
  readonly openFiles: number;
  readonly now: Date;
  readonly runtimes: Readonly<Record<string, { readonly path: string }>>;
}

/** Docker's: what is known of registries, by host. Loopback is always taken without TLS. */
function registryConfig({ hosts, insecure }: LiveSettings["registries"]): object {
  const names = Object.entries(hosts).filter(
    ([, { insecure: is, mirrors }]) => is === true || mirrors !== undefined,
  );
  const index = (name: string, secure: boolean, mirrors: readonly string[]): object => ({
    Name: name,
    Mirrors: mirrors,
    Secure: secure,
    Official: name === "docker.io",
  });
  const isSubnet = (rule: string): boolean => rule.includes("/");
  const plain = insecure.filter((rule) => !isSubnet(rule)).map((name) => [name, index(name, false, [])]);
  return {
    IndexConfigs: Object.fromEntries([
      ["docker.io", index("docker.io", true, [])],
      ...plain,
      ...names.map(([name, { insecure: is, mirrors }]) => [
        name,
        index(name, is !== true, withSlash(mirrors)),
      ]),
    ]),
    InsecureRegistryCIDRs: ["::1/128", "127.0.0.0/8", ...insecure.filter(isSubnet)],
    Mirrors: withSlash(hosts["docker.io"]?.mirrors),
  };
}

/** As dockerd shows addresses of mirrors. */
function withSlash(mirrors: readonly string[] = []): readonly string[] {
  return mirrors.map((mirror) => `${mirror}/`);
}

/** The user and password of a proxy are nobody's business. */
function withoutPassword(address: string): string {
  return address.replace(/^([a-z]+:\/\/)[^@/]*@/i, "$1xxxxx:xxxxx@");
}

/** Containers are overlays in either case: the driver says how layers are kept. */
function driverStatus(
  fileSystem: string,
  { name, reason, unguarded }: ImageStore["snapshotter"],
): [string, string][] {
  return [
    ["Backing Filesystem", fileSystem],
    ["Layers", name === "erofs" ? "EROFS files, mounted" : "directories"],
    ...(name === "erofs" ? [["fs-verity", unguarded ?? "on"] satisfies [string, string]] : []),
    ...(reason === undefined ? [] : [["Not EROFS", reason] satisfies [string, string]]),
  ];
}

export function wireInfo({
  id,
  root,
  fileSystem,
  host,
  containers,
  images,
  snapshotter,
  settings,
  listeners,
  openFiles,
  now,
  runtimes,
}: InfoInput): object {
  const count = (...statuses: readonly string[]): number =>
    containers.filter(({ state }) => statuses.includes(state.status)).length;
  const running = count("running", "restarting");
  const paused = count("paused");
  return {
    ID: id,
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: containers.length - running - paused,
    Images: images,
    Driver: driverNames[snapshotter.name],
    DriverStatus: driverStatus(fileSystem, snapshotter),
    Plugins: {
      Volume: ["local"],
      Network: ["bridge", "host", "null"],
      Authorization: null,
      Log: ["json-file", "local", "none"],
    },
    MemoryLimit: true,
    SwapLimit: true,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: true,
    Debug: settings.logLevel === "debug",
    NFd: openFiles,
    // cgroup v2 has no such switch.
    OomKillDisable: host.cgroupVersion === "1",
    NGoroutines: 1,
    SystemTime: now.toISOString(),
    LoggingDriver: settings.containers.log.Type,
    CgroupDriver: "cgroupfs",
    CgroupVersion: host.cgroupVersion,
    NEventsListener: listeners,
    KernelVersion: host.kernel,
    OperatingSystem: host.operatingSystem,
    OSVersion: host.osVersion,
    OSType: "linux",
    Architecture: host.machine,
    IndexServerAddress: "https://index.docker.io/v1/",
    RegistryConfig: registryConfig(settings.registries),
    NCPU: host.cpus,
    MemTotal: host.memoryBytes,
    GenericResources: null,
    DockerRootDir: root,
    HttpProxy: withoutPassword(settings.proxies.http),
    HttpsProxy: withoutPassword(settings.proxies.https),
    NoProxy: settings.proxies.no,
    Name: host.hostname,
    Labels: settings.labels,
    ExperimentalBuild: false,
    ServerVersion: engineVersion,
    Runtimes: runtimes,
    DefaultRuntime: settings.containers.runtime || "gantry",
    Swarm: {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    },
    // Containers and their output do not depend on the engine's process.
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "gantry-init",
    ContainerdCommit: { ID: "" },
    RuncCommit: { ID: "" },
    InitCommit: { ID: engineVersion },
    SecurityOptions: [
      "name=seccomp,profile=builtin",
      ...(settings.containers.idMaps === undefined ? [] : ["name=userns"]),
      ...(host.cgroupVersion === "2" ? ["name=cgroupns"] : []),
      ...(settings.containers.noNewPrivileges ? ["name=no-new-privileges"] : []),
    ],
    CDISpecDirs: [],
    Warnings: null,
  };
}
