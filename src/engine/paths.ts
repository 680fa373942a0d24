/** Where an engine keeps its things. Engines with different --root and --state never touch each other's. */
import { join } from "node:path";
import { type Digest, digestHex, GantryError, sha256 } from "../lib/index.ts";
import type { ContainerRecord } from "./container.ts";

export const defaultRoot = "/var/lib/gantry";
export const defaultState = "/run/gantry";

export interface EnginePaths {
  /** Data that survives a reboot. */
  readonly root: string;
  /** Sockets and live state. */
  readonly state: string;
  readonly database: string;
  readonly lock: string;
  readonly socket: string;
  /** An empty directory: overlay roots are mounted on it, each in its container's own mount namespace. */
  readonly mountPoint: string;
  /** An empty directory: containers in a user namespace see their own directory there while their root is made. */
  readonly mappedPoint: string;
  /** "" for the engine of the default directories, else 6 hex digits: part of the names of bridges, tables and cgroups. */
  readonly instance: string;
}

/** A unix socket's path may have 107 bytes; below STATE stands `m/` and 32 digits with, at most, the terminal of an exec. */
const longestState = 107 - "/m/".length - 32 - ".d/x12345678.sock".length;

/** @throws {GantryError} "invalid" for a relative or too long directory */
export function enginePaths(root: string, state: string): EnginePaths {
  for (const [name, path] of [
    ["--root", root],
    ["--state", state],
  ] as const) {
    if (!path.startsWith("/")) throw new GantryError("invalid", `${name} must be an absolute path: ${path}`);
  }
  if (Buffer.byteLength(state) > longestState) {
    throw new GantryError("invalid", `--state is longer than ${longestState} bytes: ${state}`, {
      hint: "unix sockets need short paths",
    });
  }
  const isDefault = root === defaultRoot && state === defaultState;
  const instance = isDefault ? "" : digestHex(sha256(`${root}\0${state}`) satisfies Digest).slice(0, 6);
  return {
    root,
    state,
    database: join(root, "gantry.db"),
    lock: join(root, "lock"),
    socket: join(state, "engine.sock"),
    mountPoint: join(state, "rootfs"),
    mappedPoint: join(state, "mapped"),
    instance,
  };
}

export interface ContainerPaths {
  readonly dir: string;
  readonly upper: string;
  readonly work: string;
  /** Its /dev/shm, when others may share it. */
  readonly shm: string;
  readonly log: string;
  readonly hosts: string;
  readonly resolvConf: string;
  readonly hostname: string;
  readonly monitorSocket: string;
  /** Of a container that another OCI runtime makes: config.json, pid file, log, console sockets. */
  readonly bundle: string;
  readonly status: string;
}

export function containerPaths(paths: EnginePaths, id: string): ContainerPaths {
  const dir = join(paths.root, "containers", id);
  const live = join(paths.state, "m", id.slice(0, 32));
  return {
    dir,
    upper: join(dir, "upper"),
    work: join(dir, "work"),
    shm: join(dir, "shm"),
    log: join(dir, "container.log"),
    hosts: join(dir, "hosts"),
    resolvConf: join(dir, "resolv.conf"),
    hostname: join(dir, "hostname"),
    monitorSocket: `${live}.sock`,
    bundle: `${live}.d`,
    // Beside the log and not below STATE: the exit status of a container must survive a reboot.
    status: join(dir, "status"),
  };
}

/** The cgroup of all containers of this engine, relative to the mount of a hierarchy. */
export function cgroupParent(paths: EnginePaths): string {
  return paths.instance === "" ? "/gantry" : `/gantry-${paths.instance}`;
}

/** The cgroup of one container, relative to the mount of a hierarchy; below `--cgroup-parent` when that is given. */
export function cgroupPath(paths: EnginePaths, record: Pick<ContainerRecord, "id" | "host">): string {
  const parent = record.host.CgroupParent;
  return join("/", parent === "" ? cgroupParent(paths) : slicePath(parent), record.id);
}

/** The path that systemd has for a slice: `a-b.slice` is below `a.slice`. Others are paths. Pure. */
export function slicePath(parent: string): string {
  const [, name] = /^([^/]+)\.slice$/.exec(parent) ?? [];
  if (name === undefined) return parent;
  const words = name.split("-");
  // "-.slice" is the root; a name with an empty part is none of systemd's.
  if (words.some((word) => word === "")) return name === "-" ? "/" : parent;
  return words.map((_, index) => `${words.slice(0, index + 1).join("-")}.slice`).join("/");
}
