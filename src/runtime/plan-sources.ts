/**
 * Mounts that the monitor takes for the child before that exists. In a user namespace the child is nobody to the host: a
 * source may lie behind a directory that is closed to it. And only the host's root may give a mount other ids. Pure.
 */
import { GantryError } from "../lib/index.ts";
import { mountFlags } from "../kernel/index.ts";
import { mapText } from "./id-maps.ts";
import { parseIdmapOption } from "./idmap-option.ts";
import { insidePath } from "./inside-path.ts";
import { type MountOptions, parseMountOptions } from "./mount-options.ts";
import type { OciConfig, OciMount } from "./oci-types.ts";
import type { Because, Rootless } from "./plan-input.ts";
import type { MonitorStep } from "./plan-step.ts";

export interface SourcesInput {
  readonly config: OciConfig;
  /** The root is a directory of the host's and no overlay that the child mounts. */
  readonly hasPlainRoot: boolean;
  readonly rootless?: Rootless;
  readonly because: Because;
}

/** @throws {GantryError} naming the mount whose ids cannot be mapped */
export function planSources(input: SourcesInput): readonly MonitorStep[] {
  const { config, rootless, because } = input;
  const namespaces = config.linux?.namespaces ?? [];
  const isNew = namespaces.some(({ type, path }) => type === "mount" && (path ?? "") === "");
  const hasUser = namespaces.some(({ type }) => type === "user");
  const takesAll = isNew && rootless === undefined && hasUser;
  const steps: MonitorStep[] = [];
  const root = config.root?.path ?? "";
  if (takesAll && input.hasPlainRoot)
    steps.push({
      do: "open-source",
      inside: "",
      path: root,
      recursive: true,
      uids: "",
      gids: "",
      because: because("the image", "root"),
    });
  for (const mount of config.mounts ?? []) {
    const options = parseMountOptions(mount.options ?? []);
    const maps = mapsOf(mount, options, config);
    if (maps !== undefined && rootless !== undefined) throw needsRoot(mount);
    const isBind = (options.bind || mount.type === "bind") && !options.remount && !options.copySymlink;
    if (maps !== undefined && !isBind) throw bindsOnly(mount);
    if (!isBind || !(takesAll || maps !== undefined)) continue;
    // What lies in the container's root may be there only once earlier mounts are made.
    const isWithin = (mount.source ?? "").startsWith(`${root}/`);
    if (maps === undefined && isWithin) continue;
    steps.push({
      do: "open-source",
      inside: insidePath(mount.destination, root),
      path: mount.source ?? "",
      recursive: (options.flags & mountFlags.MS_REC) !== 0n || (options.belowSet | options.belowClear) !== 0n,
      ...(options.sourceLink ? { sourceLink: true } : {}),
      ...(maps?.isRecursive === true ? { mapsBelow: true } : {}),
      // In a user namespace the child could not map it.
      ...(isWithin && !hasUser ? { mapsLater: true } : {}),
      uids: maps?.uids ?? "",
      gids: maps?.gids ?? "",
      because: because("the config's mounts", `mounts.${mount.destination}`, "mounts"),
    });
  }
  return steps;
}

interface MountMaps {
  readonly uids: string;
  readonly gids: string;
  readonly isRecursive: boolean;
}

/** Of an id-mapped mount: its own, or those of the container's user namespace, which may be one that exists: its path. */
function mapsOf(mount: OciMount, options: MountOptions, config: OciConfig): MountMaps | undefined {
  const own = (mount.uidMappings ?? []).length > 0 || (mount.gidMappings ?? []).length > 0;
  if (!own && options.idmap === "none") return undefined;
  const isRecursive = options.idmap === "ridmap";
  const joined = config.linux?.namespaces?.find(({ type }) => type === "user")?.path ?? "";
  if (!own && options.idmapText === "" && joined !== "") return { uids: joined, gids: joined, isRecursive };
  const { uidMappings = [], gidMappings = [] } = own
    ? mount
    : { ...config.linux, ...fromOption(mount, options, config) };
  if (uidMappings.length === 0 || gidMappings.length === 0)
    throw new GantryError("invalid", `the mount on ${mount.destination}: ${options.idmap} without mappings`, {
      hint: "give the mount uidMappings and gidMappings, or the config linux.uidMappings and linux.gidMappings",
      fields: { path: "mounts" },
    });
  return {
    uids: mapText(uidMappings),
    gids: mapText(gidMappings),
    isRecursive,
  };
}

/** crun's way to say it; what it leaves out is the container's. */
function fromOption(
  mount: OciMount,
  { idmapText }: MountOptions,
  config: OciConfig,
): Pick<OciMount, "uidMappings" | "gidMappings"> {
  if (idmapText === "") return {};
  const { uidMappings = [], gidMappings = [] } = config.linux ?? {};
  const parsed = parseIdmapOption(idmapText, { uids: uidMappings, gids: gidMappings });
  if (typeof parsed === "string")
    throw new GantryError("invalid", `the mount on ${mount.destination}: idmap=${idmapText}: ${parsed}`, {
      hint: "write it as idmap=uids=0-100000-65536;gids=0-100000-65536, or use the mount's uidMappings and gidMappings",
      fields: { path: "mounts" },
    });
  return {
    ...(parsed.uids === undefined ? {} : { uidMappings: parsed.uids }),
    ...(parsed.gids === undefined ? {} : { gidMappings: parsed.gids }),
  };
}

function needsRoot(mount: OciMount): GantryError {
  return new GantryError("unsupported", `the mount on ${mount.destination}: id-mapped mounts need root`, {
    hint: "leave idmap and the mount's mappings out, or run it as root",
    fields: { path: "mounts" },
  });
}

function bindsOnly(mount: OciMount): GantryError {
  return new GantryError("invalid", `the mount on ${mount.destination}: only bind mounts can be id-mapped`, {
    hint: 'add "bind" or "rbind" to its options, or leave its mappings out',
    fields: { path: "mounts" },
  });
}
