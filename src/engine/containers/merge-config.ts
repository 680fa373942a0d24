/** What a container is configured with: what was asked for, completed by its image. Pure. */
import type { ContainerDefaults } from "../../image/index.ts";
import { GantryError, shortId } from "../../lib/index.ts";
import type { ContainerConfig, HostConfig } from "../container.ts";
import { mergeHealthcheck } from "../health/merge-healthcheck.ts";

export interface MergeRequest {
  readonly id: string;
  readonly config: ContainerConfig;
  /** The request itself names an entrypoint: the image's command does not belong to it. */
  readonly entrypointSet: boolean;
  readonly host: Pick<HostConfig, "NetworkMode" | "UTSMode">;
  /** The host's name, for `--uts host` and `--network host`. */
  readonly hostname: string;
}

/** @throws {GantryError} "invalid" when neither the request nor the image names a command */
export function mergeConfig(request: MergeRequest, image: ContainerDefaults): ContainerConfig {
  const { config } = request;
  const command = mergeCommand(request, image);
  if (command.Entrypoint.length === 0 && command.Cmd.length === 0) {
    throw new GantryError("invalid", "no command specified", {
      hint: `name a command after the image: ${config.Image} COMMAND`,
    });
  }
  return {
    ...config,
    ...command,
    User: config.User || (image.User ?? ""),
    Env: [...config.Env, ...withoutNamesOf(config.Env, image.Env ?? [])],
    WorkingDir: config.WorkingDir || (image.WorkingDir ?? ""),
    ExposedPorts: { ...image.ExposedPorts, ...config.ExposedPorts },
    Volumes: { ...image.Volumes, ...config.Volumes },
    Labels: { ...image.Labels, ...config.Labels },
    StopSignal: config.StopSignal || (image.StopSignal ?? ""),
    StopTimeout: config.StopTimeout ?? image.StopTimeout,
    Healthcheck: mergeHealthcheck(config.Healthcheck, image.Healthcheck),
    Shell: (config.Shell ?? []).length > 0 ? config.Shell : image.Shell,
    Hostname: hostnameOf(request),
  };
}

/** An entrypoint of the request resets the image's command; `--entrypoint ""` is [""] and resets the image's entrypoint too. */
function mergeCommand(
  { config, entrypointSet }: MergeRequest,
  image: ContainerDefaults,
): Pick<ContainerConfig, "Entrypoint" | "Cmd"> {
  if (entrypointSet) {
    const cleared = config.Entrypoint.length === 1 && config.Entrypoint[0] === "";
    return { Entrypoint: cleared ? [] : config.Entrypoint, Cmd: config.Cmd };
  }
  return { Entrypoint: image.Entrypoint ?? [], Cmd: config.Cmd.length > 0 ? config.Cmd : (image.Cmd ?? []) };
}

/** The image's variables that the request does not name; they stand behind the request's own, as dockerd shows them. */
function withoutNamesOf(own: readonly string[], others: readonly string[]): string[] {
  const nameOf = (entry: string): string => entry.split("=", 1)[0] ?? "";
  const names = new Set(own.map(nameOf));
  return others.filter((entry) => !names.has(nameOf(entry)));
}

/** The later of two entries with one name wins, at the earlier one's place. A bare `NAME` removes it. */
export function mergeEnv(base: readonly string[], over: readonly string[]): string[] {
  const merged = new Map<string, string>();
  for (const entry of [...base, ...over]) {
    const equals = entry.indexOf("=");
    if (equals < 0) merged.delete(entry);
    else merged.set(entry.slice(0, equals), entry);
  }
  return [...merged.values()];
}

function hostnameOf({ id, config, host, hostname }: MergeRequest): string {
  if (config.Hostname !== "") {
    if (host.UTSMode === "host") {
      throw new GantryError("invalid", "conflicting options: hostname and the UTS mode");
    }
    return config.Hostname;
  }
  return host.NetworkMode === "host" || host.UTSMode === "host" ? hostname : shortId(id);
}
