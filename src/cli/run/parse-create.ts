/** The flags of run and create to the body of POST /containers/create, as docker 28 sends it. */
import { CliError } from "../errors.ts";
import { pairsToMap } from "../flags/pairs.ts";
import type { FlagValues } from "../flags/parse-flags.ts";
import { parseByteRate, parseDeviceWeight, parseOperationRate } from "./parse-block-limits.ts";
import { parseGpus } from "./parse-gpus.ts";
import { absolute, parseMount } from "./parse-mount.ts";
import { parseNetworks } from "./parse-networks.ts";
import { parsePorts } from "./parse-ports.ts";
import { parseCapabilities, parseDevice, parseSecurity } from "./parse-security.ts";
import { parseUlimits } from "./parse-ulimit.ts";
import { readPairs } from "./read-files.ts";

/** What the commands themselves need to know of the body; the rest is the engine's business. */
export interface CreateBody {
  readonly Image: string;
  readonly Tty: boolean;
  readonly AttachStdin: boolean;
  readonly AttachStdout: boolean;
  readonly AttachStderr: boolean;
  readonly [field: string]: unknown;
}

/** @throws {CliError} with docker's words for values that are wrong or contradict each other */
export function parseCreate(flags: FlagValues, image: string, command: readonly string[]): CreateBody {
  const detach = flags.bool("detach");
  const attach = flags.list("attach");
  const interactive = flags.bool("interactive");
  const attachStdin = (interactive || attach.includes("stdin")) && !detach;
  const ports = parsePorts(flags.list("publish"), flags.list("expose"));
  const networking = parseNetworks(flags);
  const volumes = parseVolumes(flags.list("volume"));
  return {
    Hostname: flags.text("hostname"),
    Domainname: flags.text("domainname"),
    User: flags.text("user"),
    AttachStdin: attachStdin,
    AttachStdout: !detach && (attach.length === 0 || attach.includes("stdout")),
    AttachStderr: !detach && (attach.length === 0 || attach.includes("stderr")),
    ...(Object.keys(ports.exposed).length === 0 ? {} : { ExposedPorts: ports.exposed }),
    Tty: flags.bool("tty"),
    OpenStdin: interactive,
    StdinOnce: interactive && attachStdin,
    Env: orNull([
      ...flags.list("env-file").flatMap((path) => readPairs(path, (name) => process.env[name])),
      ...flags.list("env"),
    ]),
    Cmd: orNull(command),
    ...healthcheckOf(flags),
    Image: image,
    Volumes: volumes.anonymous,
    WorkingDir: flags.text("workdir"),
    Entrypoint: flags.has("entrypoint") ? [flags.text("entrypoint")] : null,
    OnBuild: null,
    Labels: pairsToMap([
      ...flags.list("label-file").flatMap((path) => readPairs(path, () => undefined)),
      ...flags.list("label"),
    ]),
    ...(flags.has("stop-signal") ? { StopSignal: flags.text("stop-signal") } : {}),
    ...(flags.has("stop-timeout") ? { StopTimeout: flags.number("stop-timeout") } : {}),
    HostConfig: hostConfigOf(flags, {
      binds: volumes.binds,
      bindings: ports.bindings,
      networkMode: networking.mode,
    }),
    NetworkingConfig: { EndpointsConfig: networking.endpoints },
  };
}

interface HostParts {
  readonly binds: readonly string[];
  readonly bindings: object;
  readonly networkMode: string;
}

function hostConfigOf(flags: FlagValues, parts: HostParts): object {
  const restart = parseRestart(flags.text("restart", "no"));
  if (flags.bool("rm") && restart.Name !== "no" && restart.Name !== "") {
    throw new CliError("conflicting options: cannot specify both --restart and --rm");
  }
  return {
    Binds: orNull(parts.binds),
    ContainerIDFile: flags.text("cidfile"),
    LogConfig: logConfigOf(flags),
    NetworkMode: parts.networkMode,
    PortBindings: parts.bindings,
    RestartPolicy: restart,
    AutoRemove: flags.bool("rm"),
    VolumeDriver: flags.text("volume-driver"),
    VolumesFrom: orNull(flags.list("volumes-from")),
    ConsoleSize: [0, 0],
    PublishAllPorts: flags.bool("publish-all"),
    ReadonlyRootfs: flags.bool("read-only"),
    Dns: flags.list("dns"),
    DnsOptions: flags.list("dns-option"),
    DnsSearch: flags.list("dns-search"),
    ExtraHosts: orNull(flags.list("add-host")),
    Links: orNull(flags.list("link")),
    OomScoreAdj: flags.number("oom-score-adj"),
    ShmSize: flags.number("shm-size"),
    ...(flags.has("mount") ? { Mounts: flags.list("mount").map(parseMount) } : {}),
    ...mapIfGiven("Tmpfs", flags.list("tmpfs"), ":"),
    ...mapIfGiven("Sysctls", flags.list("sysctl")),
    ...mapIfGiven("StorageOpt", flags.list("storage-opt")),
    ...mapIfGiven("Annotations", flags.list("annotation")),
    ...(flags.has("init") ? { Init: flags.bool("init") } : {}),
    ...(flags.has("runtime") ? { Runtime: flags.text("runtime") } : {}),
    ...namespacesOf(flags),
    ...securityOf(flags),
    ...limitsOf(flags),
  };
}

function namespacesOf(flags: FlagValues): object {
  const mode = (flag: string, valid: RegExp, name: string): string => {
    const text = flags.text(flag);
    if (!valid.test(text)) throw new CliError(`--${flag}: invalid ${name} mode`);
    return text;
  };
  return {
    IpcMode: flags.text("ipc"),
    PidMode: mode("pid", /^(|host|container:.+)$/, "PID"),
    UTSMode: mode("uts", /^(|host)$/, "UTS"),
    UsernsMode: mode("userns", /^(|host)$/, "USER"),
    CgroupnsMode: mode("cgroupns", /^(|host|private)$/, "CGROUP"),
    Cgroup: "",
    Isolation: flags.text("isolation"),
  };
}

function securityOf(flags: FlagValues): object {
  const security = parseSecurity(flags.list("security-opt"));
  const [capAdd, capDrop] = parseCapabilities(flags.list("cap-add"), flags.list("cap-drop"));
  return {
    CapAdd: capAdd,
    CapDrop: capDrop,
    GroupAdd: orNull(flags.list("group-add")),
    Privileged: flags.bool("privileged"),
    SecurityOpt: flags.has("security-opt") ? security.options : null,
    MaskedPaths: security.openPaths ? [] : null,
    ReadonlyPaths: security.openPaths ? [] : null,
    Devices: flags.list("device").map(parseDevice),
    DeviceCgroupRules: orNull(flags.list("device-cgroup-rule")),
    DeviceRequests: flags.has("gpus") ? flags.list("gpus").map(parseGpus) : null,
  };
}

function limitsOf(flags: FlagValues): object {
  const swappiness = flags.number("memory-swappiness", -1);
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100)) {
    throw new CliError(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);
  }
  return {
    CpuShares: flags.number("cpu-shares"),
    Memory: flags.number("memory"),
    NanoCpus: flags.number("cpus"),
    CgroupParent: flags.text("cgroup-parent"),
    BlkioWeight: flags.number("blkio-weight"),
    BlkioWeightDevice: flags.list("blkio-weight-device").map(parseDeviceWeight),
    BlkioDeviceReadBps: flags.list("device-read-bps").map(parseByteRate),
    BlkioDeviceWriteBps: flags.list("device-write-bps").map(parseByteRate),
    BlkioDeviceReadIOps: flags.list("device-read-iops").map(parseOperationRate),
    BlkioDeviceWriteIOps: flags.list("device-write-iops").map(parseOperationRate),
    CpuPeriod: flags.number("cpu-period"),
    CpuQuota: flags.number("cpu-quota"),
    CpuRealtimePeriod: flags.number("cpu-rt-period"),
    CpuRealtimeRuntime: flags.number("cpu-rt-runtime"),
    CpusetCpus: flags.text("cpuset-cpus"),
    CpusetMems: flags.text("cpuset-mems"),
    MemoryReservation: flags.number("memory-reservation"),
    MemorySwap: flags.number("memory-swap"),
    MemorySwappiness: swappiness,
    OomKillDisable: flags.bool("oom-kill-disable"),
    PidsLimit: flags.number("pids-limit"),
    Ulimits: parseUlimits(flags.list("ulimit")),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
  };
}

function healthcheckOf(flags: FlagValues): object {
  const command = flags.text("health-cmd");
  const numbers = ["interval", "timeout", "retries", "start-period", "start-interval"].map(
    (name) => [name, flags.number(`health-${name}`)] as const,
  );
  const given = command !== "" || numbers.some(([, value]) => value !== 0);
  if (flags.bool("no-healthcheck")) {
    if (given) throw new CliError("--no-healthcheck conflicts with --health-* options");
    return { Healthcheck: { Test: ["NONE"] } };
  }
  if (!given) return {};
  for (const [name, value] of numbers) {
    if (value < 0) throw new CliError(`--health-${name} cannot be negative`);
  }
  const set = (field: string, flag: string): object =>
    flags.number(flag) === 0 ? {} : { [field]: flags.number(flag) };
  return {
    Healthcheck: {
      ...(command === "" ? {} : { Test: ["CMD-SHELL", command] }),
      ...set("Interval", "health-interval"),
      ...set("Timeout", "health-timeout"),
      ...set("StartPeriod", "health-start-period"),
      ...set("StartInterval", "health-start-interval"),
      ...set("Retries", "health-retries"),
    },
  };
}

function logConfigOf(flags: FlagValues): object {
  const driver = flags.text("log-driver");
  const options = flags.list("log-opt");
  if (driver === "none" && options.length > 0) throw new CliError("invalid logging opts for driver none");
  return { Type: driver, Config: pairsToMap(options) };
}

/** `no`, `always`, `unless-stopped`, `on-failure[:n]`; the engine judges the name. */
export function parseRestart(text: string): { readonly Name: string; readonly MaximumRetryCount: number } {
  const at = text.indexOf(":");
  if (at < 0) return { Name: text, MaximumRetryCount: 0 };
  const count = text.slice(at + 1);
  if (at === 0) throw new CliError("invalid restart policy format: no policy provided before colon");
  if (!/^[+-]?\d+$/.test(count))
    throw new CliError("invalid restart policy format: maximum retry count must be an integer");
  return { Name: text.slice(0, at), MaximumRetryCount: Number(count) };
}

interface Volumes {
  readonly binds: readonly string[];
  readonly anonymous: Readonly<Record<string, object>>;
}

function parseVolumes(texts: readonly string[]): Volumes {
  const binds: string[] = [];
  const anonymous: Record<string, object> = {};
  for (const text of new Set(texts)) {
    if (text === "") throw new CliError("invalid empty volume spec");
    const at = text.indexOf(":");
    if (at < 0) anonymous[text] = {};
    else if (text.split(":").includes(""))
      throw new CliError(`invalid spec: ${text}: empty section between colons`);
    else if (text.startsWith(".")) binds.push(absolute(text.slice(0, at)) + text.slice(at));
    else binds.push(text);
  }
  return { binds, anonymous };
}

function orNull(list: readonly string[]): readonly string[] | null {
  return list.length === 0 ? null : list;
}

function mapIfGiven(field: string, texts: readonly string[], separator = "="): object {
  return texts.length === 0 ? {} : { [field]: pairsToMap(texts, separator) };
}
