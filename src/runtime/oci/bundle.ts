/** A bundle: a directory with config.json (runtime-spec bundle.md), completed to what the planner wants. */
import { readFileSync, realpathSync } from "node:fs";
import { resolve } from "node:path";
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";
import type { OciConfig } from "../oci-types.ts";
import { validateConfig } from "../validate-config.ts";

const maxConfigBytes = 8 << 20;

export interface Bundle {
  readonly path: string;
  readonly rootfs: string;
  readonly config: OciConfig;
}

/** @throws {GantryError} "not-found" without a config.json, "invalid" with every error that is in it */
export function readBundle(dir: string | undefined, id: string): Bundle {
  const path = resolve(dir ?? ".");
  const config = validateConfig(parseConfig(path));
  const rootfs = realRoot(resolve(path, config.root?.path ?? "rootfs"));
  return {
    path,
    rootfs,
    config: {
      ...config,
      root: { ...config.root, path: rootfs },
      mounts: (config.mounts ?? []).map((mount) => absoluteSource(mount, path)),
      linux: { ...config.linux, cgroupsPath: cgroupsPath(config.linux?.cgroupsPath, id) },
    },
  };
}

/** The parsed config.json of a bundle, unchecked. */
export function parseConfig(bundle: string): unknown {
  const file = `${bundle}/config.json`;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT"))
      throw new GantryError("not-found", `JSON specification file ${file} not found`, {
        cause: error,
        hint: "name the bundle with --bundle, or write a first config.json with: gantry-oci spec",
      });
    throw toGantryError(error, `read ${file}`);
  }
  if (text.length > maxConfigBytes)
    throw new GantryError("invalid", `${file} is larger than ${maxConfigBytes} bytes`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new GantryError(
      "invalid",
      `${file} is not valid JSON: ${error instanceof Error ? error.message : ""}`,
      { cause: error },
    );
  }
}

function realRoot(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw toGantryError(error, `root.path: ${path}`);
  }
}

type Mount = NonNullable<OciConfig["mounts"]>[number];

/** A bind's source may be relative to the bundle (config.md, "source"). */
function absoluteSource(mount: Mount, bundle: string): Mount {
  const binds =
    mount.type === "bind" || (mount.options ?? []).some((option) => option === "bind" || option === "rbind");
  return binds && mount.source !== undefined ? { ...mount, source: resolve(bundle, mount.source) } : mount;
}

/** Without a word from the config: a name that no other cgroup of the machine has, and no parent that would be left behind. */
function cgroupsPath(given: string | undefined, id: string): string {
  if (given === undefined || given === "") return `/gantry-oci.${id}`;
  return given.startsWith("/") ? given : `/${given}`;
}
