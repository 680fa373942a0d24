/** The mounts of a container, from its flags: `-v`, `--mount`, `--tmpfs` and the image's VOLUMEs. Pure. */
import { posix } from "node:path";
import { GantryError } from "../../lib/index.ts";
import type {
  ContainerConfig,
  ContainerRecord,
  HostConfig,
  InheritedMount,
  MountRequest,
  MountSpec,
  VolumeUse,
} from "../container.ts";

export type { MountSpec } from "../container.ts";

const nothing = {
  name: "",
  source: "",
  readOnly: false,
  mode: "",
  propagation: "",
  createSource: false,
  noCopy: false,
  options: "",
};
const propagations = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/** "/a//b/" is "/a/b". @throws {GantryError} "invalid" for a relative path, "/" or one with a colon or NUL */
function checkTarget(target: string, spec: string): string {
  if (!target.startsWith("/")) {
    throw new GantryError(
      "invalid",
      `invalid mount config: invalid mount path: '${target}' mount path must be absolute`,
      {
        fields: { spec },
      },
    );
  }
  const clean = posix.normalize(target).replace(/(.)\/$/, "$1");
  if (clean === "/")
    throw new GantryError("invalid", `invalid volume specification: '${spec}': destination can't be '/'`);
  if (clean.includes("\0"))
    throw new GantryError("invalid", "invalid mount path: it contains a NUL character");
  return clean;
}

/** `SOURCE:TARGET[:OPTIONS]` or `TARGET`, as `-v` has it. @throws {GantryError} "invalid" */
export function parseBind(spec: string): MountSpec {
  const parts = spec.split(":");
  const [first = "", second, mode = ""] = parts;
  if (parts.length > 3 || first === "" || second === "") throw invalidSpec(spec);
  if (second === undefined) return { ...nothing, type: "volume", target: checkTarget(first, spec) };
  const options = parseBindMode(mode, spec);
  const target = checkTarget(second, spec);
  if (first.startsWith("/")) {
    const source = posix.normalize(first).replace(/(.)\/$/, "$1");
    return { ...nothing, ...options, type: "bind", source, target, mode, createSource: true };
  }
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(first)) {
    throw new GantryError(
      "invalid",
      `create ${first}: "${first}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  }
  if (options.propagation !== "") throw invalidSpec(spec);
  return { ...nothing, ...options, type: "volume", name: first, target, mode };
}

function invalidSpec(spec: string): GantryError {
  return new GantryError("invalid", `invalid volume specification: '${spec}'`, {
    hint: "write SOURCE:TARGET[:ro|rw|OPTIONS]",
  });
}

function parseBindMode(mode: string, spec: string): Pick<MountSpec, "readOnly" | "propagation" | "noCopy"> {
  let readOnly = false;
  let propagation = "";
  let noCopy = false;
  for (const option of mode === "" ? [] : mode.split(",")) {
    if (option === "ro") readOnly = true;
    else if (option === "nocopy") noCopy = true;
    else if (propagations.includes(option)) propagation = option;
    // SELinux labels and the consistency words of macOS mean nothing here.
    else if (!["rw", "z", "Z", "consistent", "cached", "delegated", "copy"].includes(option)) {
      throw new GantryError("invalid", `invalid volume specification: '${spec}': invalid mode: ${mode}`);
    }
  }
  return { readOnly, propagation, noCopy };
}

/** @throws {GantryError} "invalid" */
export function parseMount(mount: MountRequest): MountSpec {
  const target = checkTarget(mount.Target, mount.Target);
  const common = { ...nothing, type: mount.Type, target, readOnly: mount.ReadOnly };
  switch (mount.Type) {
    case "bind": {
      if (!mount.Source.startsWith("/")) {
        throw new GantryError(
          "invalid",
          `invalid mount config for type "bind": invalid mount path: '${mount.Source}' mount path must be absolute`,
        );
      }
      const propagation = mount.BindOptions?.Propagation ?? "";
      if (propagation !== "" && !propagations.includes(propagation)) {
        throw new GantryError(
          "invalid",
          `invalid mount config for type "bind": invalid propagation: ${propagation}`,
        );
      }
      const source = posix.normalize(mount.Source).replace(/(.)\/$/, "$1");
      return { ...common, source, propagation, createSource: mount.BindOptions?.CreateMountpoint ?? false };
    }
    case "volume":
      if (mount.Source !== "" && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(mount.Source)) {
        throw new GantryError(
          "invalid",
          `invalid mount config for type "volume": invalid volume name: ${mount.Source}`,
        );
      }
      return { ...common, name: mount.Source, noCopy: mount.VolumeOptions?.NoCopy ?? false };
    case "tmpfs": {
      if (mount.Source !== "") {
        throw new GantryError(
          "invalid",
          'invalid mount config for type "tmpfs": field Source must not be specified',
        );
      }
      const { SizeBytes = 0, Mode = 0 } = mount.TmpfsOptions ?? {};
      const options = [
        ...(SizeBytes > 0 ? [`size=${SizeBytes}`] : []),
        ...(Mode > 0 ? [`mode=${Mode.toString(8)}`] : []),
      ];
      return { ...common, options: options.join(",") };
    }
  }
}

function parseTmpfs(target: string, options: string): MountSpec {
  const words = options.split(",").filter((word) => word !== "");
  return {
    ...nothing,
    type: "tmpfs",
    target: checkTarget(target, target),
    readOnly: words.includes("ro"),
    options: words.filter((word) => word !== "ro" && word !== "rw").join(","),
  };
}

/**
 * All mounts in the order in which they are made: a target before what lies below it. The user's win over
 * those of other containers, which win over the image's.
 * Volumes of the image and anonymous ones have an empty name here; `volumes` names them.
 * @throws {GantryError} "invalid" for a malformed one or two at one target
 */
export function requestedMounts(
  config: Pick<ContainerConfig, "Volumes">,
  host: Pick<HostConfig, "Binds" | "Mounts" | "Tmpfs">,
  inherited: readonly InheritedMount[] = [],
): MountSpec[] {
  const byTarget = new Map<string, MountSpec>();
  const asked = [
    ...host.Binds.map(parseBind),
    ...host.Mounts.map(parseMount),
    ...Object.entries(host.Tmpfs).map(([target, options]) => parseTmpfs(target, options)),
  ];
  for (const mount of asked) {
    if (byTarget.has(mount.target))
      throw new GantryError("invalid", `Duplicate mount point: ${mount.target}`);
    byTarget.set(mount.target, mount);
  }
  for (const mount of inherited) if (!byTarget.has(mount.target)) byTarget.set(mount.target, mount);
  for (const volume of Object.keys(config.Volumes)) {
    const mount = parseBind(volume);
    if (!byTarget.has(mount.target)) byTarget.set(mount.target, mount);
  }
  return [...byTarget.values()].sort((a, b) => depth(a.target) - depth(b.target));
}

function depth(path: string): number {
  return path.split("/").length;
}

const cache = new WeakMap<ContainerRecord, readonly MountSpec[]>();

/** The mounts of a recorded container, every volume with its name. Computed once a record. */
export function mountsOf(record: ContainerRecord): readonly MountSpec[] {
  const known = cache.get(record);
  if (known !== undefined) return known;
  const names = new Map(record.volumes.map((use) => [use.target, use.name]));
  const mounts = requestedMounts(record.config, record.host, record.inherited).map((mount) =>
    mount.type === "volume" ? { ...mount, name: names.get(mount.target) ?? mount.name } : mount,
  );
  cache.set(record, mounts);
  return mounts;
}

/** Which volumes the mounts use; anonymous ones get a name from `newName`. */
export function volumeUses(
  mounts: readonly (MountSpec | InheritedMount)[],
  newName: () => string,
): VolumeUse[] {
  return mounts
    .filter((mount) => mount.type === "volume")
    .map((mount) => ({
      name: mount.name || newName(),
      target: mount.target,
      anonymous: mount.name === "" || ("anonymous" in mount && mount.anonymous),
    }));
}
