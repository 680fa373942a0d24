/** `--mount type=bind,source=/a,target=/b,…` to an entry of HostConfig.Mounts. Pure. */
import { FlagError } from "../errors.ts";
import { parseCsv } from "../flags/csv.ts";
import { parseBytes } from "../flags/flag.ts";

export interface Mount {
  Type: string;
  Source?: string;
  Target?: string;
  ReadOnly?: boolean;
  Consistency?: string;
  BindOptions?: Record<string, string | boolean>;
  VolumeOptions?: {
    NoCopy?: boolean;
    Subpath?: string;
    Labels?: Record<string, string>;
    DriverConfig?: { Name?: string; Options?: Record<string, string> };
  };
  ImageOptions?: { Subpath?: string };
  TmpfsOptions?: { SizeBytes?: number; Mode?: number };
}

type Setter = (mount: Mount, value: string, field: string) => void;

const volumeOptions = (mount: Mount): NonNullable<Mount["VolumeOptions"]> =>
  (mount.VolumeOptions ??= { DriverConfig: {} });

const setters: Readonly<Record<string, Setter>> = {
  type: (m, v) => void (m.Type = v.toLowerCase()),
  source: (m, v) => void (m.Source = v === "." || v.startsWith("./") ? absolute(v) : v),
  target: (m, v) => void (m.Target = v),
  readonly: (m, v, field) => setTrue(v, field, () => (m.ReadOnly = true)),
  consistency: (m, v) => void (m.Consistency = v.toLowerCase()),
  "bind-propagation": (m, v) => void ((m.BindOptions ??= {})["Propagation"] = v.toLowerCase()),
  "bind-nonrecursive": (m, v, field) =>
    setTrue(v, field, () => ((m.BindOptions ??= {})["NonRecursive"] = true)),
  "bind-recursive": setRecursive,
  "volume-subpath": (m, v) => void (volumeOptions(m).Subpath = v),
  "volume-nocopy": (m, v, field) => setTrue(v, field, () => (volumeOptions(m).NoCopy = true)),
  "volume-label": (m, v) => addPair((volumeOptions(m).Labels ??= {}), v),
  "volume-driver": (m, v) => void ((volumeOptions(m).DriverConfig ??= {}).Name = v),
  "volume-opt": (m, v) => addPair(((volumeOptions(m).DriverConfig ??= {}).Options ??= {}), v),
  "image-subpath": (m, v) => void ((m.ImageOptions ??= {}).Subpath = v),
  "tmpfs-size": (m, v) => void ((m.TmpfsOptions ??= {}).SizeBytes = sizeOf(v)),
  "tmpfs-mode": (m, v) => void ((m.TmpfsOptions ??= {}).Mode = modeOf(v)),
};

const aliases: Readonly<Record<string, string>> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
};

/** Keys that may stand without a value. */
const bare = new Set(["readonly", "volume-nocopy", "bind-nonrecursive"]);

/** @throws {FlagError} with docker's words */
export function parseMount(text: string): Mount {
  const mount: Mount = { Type: "volume" };
  for (const field of parseCsv(text)) {
    const at = field.indexOf("=");
    const given = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    const key = aliases[given] ?? given;
    if (at < 0 && !bare.has(key)) throw new FlagError(`invalid field '${field}' must be a key=value pair`);
    const set = Object.hasOwn(setters, key) ? setters[key] : undefined;
    if (set === undefined) throw new FlagError(`unexpected key '${given}' in '${field}'`);
    set(mount, at < 0 ? "true" : field.slice(at + 1), field);
  }
  checkMount(mount);
  return mount;
}

function checkMount(mount: Mount): void {
  if (mount.Type === "") throw new FlagError("type is required");
  if ((mount.Target ?? "") === "") throw new FlagError("target is required");
  const sections = {
    bind: mount.BindOptions,
    volume: mount.VolumeOptions,
    image: mount.ImageOptions,
    tmpfs: mount.TmpfsOptions,
  };
  for (const [type, options] of Object.entries(sections)) {
    if (options !== undefined && mount.Type !== type) {
      throw new FlagError(`cannot mix '${type}-*' options with mount type '${mount.Type}'`);
    }
  }
  if (mount.BindOptions?.["ReadOnlyForceRecursive"] === true) {
    if (mount.ReadOnly !== true)
      throw new FlagError(
        "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction",
      );
    if (mount.BindOptions["Propagation"] !== "rprivate") {
      throw new FlagError(
        "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
      );
    }
  }
}

function setTrue(value: string, field: string, set: () => void): void {
  if (/^(1|t|T|TRUE|true|True)$/.test(value)) set();
  else if (!/^(0|f|F|FALSE|false|False)$/.test(value)) {
    throw new FlagError(`invalid value for ${field.slice(0, field.indexOf("="))}: ${value}`);
  }
}

function setRecursive(mount: Mount, value: string): void {
  const options = (mount.BindOptions ??= {});
  if (value === "disabled") options["NonRecursive"] = true;
  else if (value === "writable") options["ReadOnlyNonRecursive"] = true;
  else if (value === "readonly") options["ReadOnlyForceRecursive"] = true;
  else if (value !== "enabled") {
    throw new FlagError(
      `invalid value for bind-recursive: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
    );
  }
}

function addPair(map: Record<string, string>, pair: string): void {
  const at = pair.indexOf("=");
  map[at < 0 ? pair : pair.slice(0, at)] = at < 0 ? "" : pair.slice(at + 1);
}

function sizeOf(text: string): number {
  try {
    return parseBytes(text);
  } catch {
    // Docker hides what is wrong with the number behind these words.
    throw new FlagError(`invalid value for tmpfs-size: ${text}`);
  }
}

function modeOf(text: string): number {
  if (!/^[0-7]+$/.test(text)) throw new FlagError(`invalid value for tmpfs-mode: ${text}`);
  return Number.parseInt(text, 8);
}

/** An absolute path from one that begins at the working directory. */
export function absolute(path: string): string {
  const parts: string[] = [];
  for (const part of `${process.cwd()}/${path}`.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** Checks the text of the flag and keeps it. */
export function readMount(text: string): string {
  parseMount(text);
  return text;
}
