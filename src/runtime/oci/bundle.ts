/** A bundle: a directory with config.json (runtime-spec bundle.md), completed to what the planner wants. */
import { GantryError, toGantryError } from "../../lib/index.ts";
import type { OciConfig } from "../oci-types.ts";
import { validateConfig } from "../validate-config.ts";
import { readJson } from "./json-file.ts";
import { resolvePath } from "./paths.ts";
import { programName } from "./program-name.ts";

export interface Bundle {
  readonly path: string;
  readonly rootfs: string;
  readonly config: OciConfig;
}

/** @throws {GantryError} "not-found" without a config.json, "invalid" with every error that is in it */
export function readBundle(dir: string | undefined, id: string, systemd = false): Bundle {
  const path = resolvePath(dir === undefined || dir === "" ? "." : dir);
  const config = validateConfig(parseConfig(path));
  const rootfs = realRoot(resolvePath(config.root?.path ?? "rootfs", path));
  const given = config.linux?.cgroupsPath;
  return {
    path,
    rootfs,
    config: {
      ...config,
      root: { ...config.root, path: rootfs },
      mounts: (config.mounts ?? []).map((mount) => absoluteSource(mount, path)),
      linux: { ...config.linux, cgroupsPath: systemd ? slicePath(given, id) : cgroupsPath(given, id) },
    },
  };
}

/** The parsed config.json of a bundle, unchecked. */
export function parseConfig(bundle: string): unknown {
  const file = resolvePath("config.json", bundle);
  try {
    return readJson(file);
  } catch (error) {
    if (error instanceof GantryError && error.code === "not-found")
      throw new GantryError("not-found", `JSON specification file ${file} not found`, {
        cause: error,
        hint: `name the bundle with --bundle, or write a first config.json with: ${programName()} spec`,
      });
    throw error;
  }
}

function realRoot(path: string): string {
  try {
    return host.realpath(path);
  } catch (error) {
    throw toGantryError(error, `root.path: ${path}`);
  }
}

type Mount = NonNullable<OciConfig["mounts"]>[number];

/** A bind's source may be relative to the bundle (config.md, "source"). */
function absoluteSource(mount: Mount, bundle: string): Mount {
  const binds =
    mount.type === "bind" || (mount.options ?? []).some((option) => option === "bind" || option === "rbind");
  return binds && mount.source !== undefined
    ? { ...mount, source: resolvePath(mount.source, bundle) }
    : mount;
}

/** Without a word from the config: a name that no other cgroup of the machine has, and no parent that would be left behind. */
function cgroupsPath(given: string | undefined, id: string): string {
  if (given === undefined || given === "") return `/gantry-oci.${id}`;
  return given.startsWith("/") ? given : `/${given}`;
}

/** For systemd: `slice:prefix:name`. */
function slicePath(given: string | undefined, id: string): string {
  return given === undefined || given === "" ? `:gantry-oci:${id}` : given;
}
