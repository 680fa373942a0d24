/** Mount options (runtime-spec config.md, "Linux mount options"; mount(8)) as flags. Pure. */
import { mountAttr, mountFlags } from "../kernel/index.ts";

export interface MountOptions {
  /** MS_* of mount(2), without propagation; MS_REC for rbind. They concern the mount itself. */
  readonly flags: bigint;
  /** MOUNT_ATTR_* for mount_setattr(2) on a bind: the same as `flags`, or what is asked for recursively (rro …). */
  readonly attrSet: bigint;
  readonly attrClear: bigint;
  /** attrSet and attrClear concern all mounts below, too. */
  readonly recursiveAttributes: boolean;
  /** MS_PRIVATE …, with MS_REC for the r-forms; 0: none asked for. */
  readonly propagation: bigint;
  readonly bind: boolean;
  readonly readonly: boolean;
  /** What the file system itself shall understand, comma-separated. */
  readonly data: string;
  /** Known options that cannot be done here. */
  readonly unsupported: readonly string[];
}

const m = mountFlags;
const a = mountAttr;

/** option: MS flag to set (or, negated, to clear) and the matching mount attribute. */
const flagOptions: Readonly<Record<string, readonly [set: boolean, flag: bigint, attr: bigint]>> = {
  ro: [true, m.MS_RDONLY, a.MOUNT_ATTR_RDONLY],
  rw: [false, m.MS_RDONLY, a.MOUNT_ATTR_RDONLY],
  nosuid: [true, m.MS_NOSUID, a.MOUNT_ATTR_NOSUID],
  suid: [false, m.MS_NOSUID, a.MOUNT_ATTR_NOSUID],
  nodev: [true, m.MS_NODEV, a.MOUNT_ATTR_NODEV],
  dev: [false, m.MS_NODEV, a.MOUNT_ATTR_NODEV],
  noexec: [true, m.MS_NOEXEC, a.MOUNT_ATTR_NOEXEC],
  exec: [false, m.MS_NOEXEC, a.MOUNT_ATTR_NOEXEC],
  nodiratime: [true, m.MS_NODIRATIME, a.MOUNT_ATTR_NODIRATIME],
  diratime: [false, m.MS_NODIRATIME, a.MOUNT_ATTR_NODIRATIME],
  nosymfollow: [true, m.MS_NOSYMFOLLOW, a.MOUNT_ATTR_NOSYMFOLLOW],
  symfollow: [false, m.MS_NOSYMFOLLOW, a.MOUNT_ATTR_NOSYMFOLLOW],
  sync: [true, m.MS_SYNCHRONOUS, 0n],
  async: [false, m.MS_SYNCHRONOUS, 0n],
  dirsync: [true, m.MS_DIRSYNC, 0n],
  mand: [true, m.MS_MANDLOCK, 0n],
  nomand: [false, m.MS_MANDLOCK, 0n],
  silent: [true, m.MS_SILENT, 0n],
  loud: [false, m.MS_SILENT, 0n],
  iversion: [true, m.MS_I_VERSION, 0n],
  noiversion: [false, m.MS_I_VERSION, 0n],
  lazytime: [true, m.MS_LAZYTIME, 0n],
  nolazytime: [false, m.MS_LAZYTIME, 0n],
  defaults: [true, 0n, 0n],
};

/** The access time modes exclude each other: setting one attribute clears the field of all. */
const atimeOptions: Readonly<Record<string, readonly [flag: bigint, attr: bigint]>> = {
  noatime: [m.MS_NOATIME, a.MOUNT_ATTR_NOATIME],
  strictatime: [m.MS_STRICTATIME, a.MOUNT_ATTR_STRICTATIME],
  relatime: [m.MS_RELATIME, 0n],
  atime: [0n, 0n],
  nostrictatime: [0n, 0n],
  norelatime: [0n, a.MOUNT_ATTR_STRICTATIME],
};
const allAtimeFlags = m.MS_NOATIME | m.MS_STRICTATIME | m.MS_RELATIME;

const propagations: Readonly<Record<string, bigint>> = {
  private: m.MS_PRIVATE,
  rprivate: m.MS_PRIVATE | m.MS_REC,
  slave: m.MS_SLAVE,
  rslave: m.MS_SLAVE | m.MS_REC,
  shared: m.MS_SHARED,
  rshared: m.MS_SHARED | m.MS_REC,
  unbindable: m.MS_UNBINDABLE,
  runbindable: m.MS_UNBINDABLE | m.MS_REC,
};

const notOffered = new Set(["idmap", "ridmap", "tmpcopyup", "remount"]);

/** Attributes that are being collected, for the mount itself or for all below it. */
class Attributes {
  set = 0n;
  clear = 0n;

  apply(on: boolean, attr: bigint): void {
    this.set = on ? this.set | attr : this.set & ~attr;
    this.clear = on ? this.clear & ~attr : this.clear | attr;
  }

  applyAtime(attr: bigint): void {
    this.set = (this.set & ~a.MOUNT_ATTR__ATIME) | attr;
    this.clear |= a.MOUNT_ATTR__ATIME;
  }

  get isEmpty(): boolean {
    return this.set === 0n && this.clear === 0n;
  }
}

/** Splits options into flags, attributes and data; later options win over earlier ones. */
export function parseMountOptions(options: readonly string[]): MountOptions {
  const own = new Attributes();
  const deep = new Attributes();
  let flags = 0n;
  let propagation = 0n;
  let bind = false;
  const data: string[] = [];
  const unsupported: string[] = [];
  for (const option of options) {
    const spread = propagations[option];
    const plain = flagOptions[option];
    const atime = atimeOptions[option];
    const base = option.startsWith("r") ? option.slice(1) : "";
    const below = flagOptions[base];
    const atimeBelow = atimeOptions[base];
    if (option === "bind" || option === "rbind") {
      bind = true;
      if (option === "rbind") flags |= m.MS_REC;
    } else if (spread !== undefined) propagation = spread;
    else if (notOffered.has(option)) unsupported.push(option);
    else if (plain !== undefined) {
      flags = plain[0] ? flags | plain[1] : flags & ~plain[1];
      own.apply(plain[0], plain[2]);
    } else if (atime !== undefined) {
      flags = (flags & ~allAtimeFlags) | atime[0];
      own.applyAtime(atime[1]);
    } else if (below !== undefined && below[2] !== 0n) deep.apply(below[0], below[2]);
    else if (atimeBelow !== undefined) deep.applyAtime(atimeBelow[1]);
    else if (option !== "") data.push(option);
  }
  const used = deep.isEmpty ? own : deep;
  return {
    flags,
    attrSet: used.set,
    attrClear: used.clear,
    recursiveAttributes: !deep.isEmpty,
    propagation,
    bind,
    readonly: (flags & m.MS_RDONLY) !== 0n,
    data: data.join(","),
    unsupported,
  };
}

/** `rprivate`, `rslave` … as flags; undefined for an unknown word. */
export function parsePropagation(word: string): bigint | undefined {
  return propagations[word];
}
