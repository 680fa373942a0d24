/** Mount options (runtime-spec config.md, "Linux mount options"; mount(8); crun(1)) as flags. Pure. */
import { mountAttr, mountFlags } from "../kernel/index.ts";

export interface MountOptions {
  /** MS_* of mount(2), without propagation; MS_REC for rbind. They concern the mount itself. */
  readonly flags: bigint;
  /** MOUNT_ATTR_* for the mount itself: what is asked for, and what is asked to be cleared. */
  readonly set: bigint;
  readonly clear: bigint;
  /** Some attribute was named: a bind has exactly the named ones then, and else those of its source. */
  readonly isExact: boolean;
  /** MOUNT_ATTR_* for the mount and all below it (rro …). */
  readonly belowSet: bigint;
  readonly belowClear: bigint;
  /** MS_PRIVATE …, with MS_REC for the r-forms; 0: none asked for. MS_SLAVE and MS_SHARED may stand together. */
  readonly propagation: bigint;
  readonly bind: boolean;
  readonly remount: boolean;
  readonly readonly: boolean;
  /** What the file system itself shall understand, comma-separated. */
  readonly data: string;
  /** idmap and ridmap: mapped ids, for all mounts below, too. */
  readonly idmap: "none" | "idmap" | "ridmap";
  /** crun's: the maps that stand behind `idmap=`; see idmap-option.ts. */
  readonly idmapText: string;
  /** tmpcopyup: what the image holds there is copied into the new tmpfs. */
  readonly copyUp: boolean;
  /** crun's: a symlink at the source, at the destination is bound itself. */
  readonly sourceLink: boolean;
  readonly placeLink: boolean;
  /** crun's: a source that is a symlink is made anew inside. */
  readonly copySymlink: boolean;
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

/**
 * The access time modes exclude each other: setting one attribute clears the field of all. What merely negates one
 * (atime, norelatime) leaves the mode as it is where a mount has one, as the kernel does for mount(2).
 */
const atimeOptions: Readonly<Record<string, readonly [flag: bigint, attr: bigint]>> = {
  noatime: [m.MS_NOATIME, a.MOUNT_ATTR_NOATIME],
  strictatime: [m.MS_STRICTATIME, a.MOUNT_ATTR_STRICTATIME],
  relatime: [m.MS_RELATIME, a.MOUNT_ATTR_RELATIME],
};
const atimeNegations: Readonly<Record<string, bigint>> = {
  atime: m.MS_NOATIME,
  nostrictatime: m.MS_STRICTATIME,
  norelatime: m.MS_RELATIME,
};
const allAtimeFlags = m.MS_NOATIME | m.MS_STRICTATIME | m.MS_RELATIME;

/** Attributes that a bind with named ones has only if they are among them; the access time mode is kept. */
const exactAttributes =
  a.MOUNT_ATTR_RDONLY |
  a.MOUNT_ATTR_NOSUID |
  a.MOUNT_ATTR_NODEV |
  a.MOUNT_ATTR_NOEXEC |
  a.MOUNT_ATTR_NOSYMFOLLOW;

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

// An option such as "constructor" or "__proto__" is none of them.
for (const table of [flagOptions, atimeOptions, atimeNegations, propagations])
  Object.setPrototypeOf(table, null);

/** What is set on the file system and not on the mount, in the words of fsconfig(2). */
const superFlags: readonly (readonly [flag: bigint, word: string])[] = [
  [m.MS_SYNCHRONOUS, "sync"],
  [m.MS_DIRSYNC, "dirsync"],
  [m.MS_MANDLOCK, "mand"],
  [m.MS_LAZYTIME, "lazytime"],
];

/** Attributes that are being collected, for the mount itself or for all below it. */
/** Not `set`: QuickJS of 2021 takes a field of that name for the beginning of a setter. */
class Attributes {
  put = 0n;
  clear = 0n;
  isNamed = false;

  apply(on: boolean, attr: bigint): void {
    this.isNamed = true;
    this.put = on ? this.put | attr : this.put & ~attr;
    this.clear = on ? this.clear & ~attr : this.clear | attr;
  }

  applyAtime(attr: bigint): void {
    this.isNamed = true;
    this.put = (this.put & ~a.MOUNT_ATTR__ATIME) | attr;
    this.clear |= a.MOUNT_ATTR__ATIME;
  }
}

/** Splits options into flags, attributes and data; later options win over earlier ones. */
export function parseMountOptions(options: readonly string[]): MountOptions {
  const parsed = new ParsedOptions();
  for (const option of options) if (option !== "") parsed.take(option);
  return parsed.result();
}

class ParsedOptions {
  readonly #own = new Attributes();
  readonly #below = new Attributes();
  readonly #data: string[] = [];
  readonly #words = new Set<string>();
  #flags = 0n;
  #propagation = 0n;
  #idmap: MountOptions["idmap"] = "none";
  #idmapText = "";

  take(option: string): void {
    if (takenWords.has(option)) this.#words.add(option);
    else if (/^r?idmap(=|$)/.test(option)) this.#takeIdmap(option);
    else if (!this.#takePropagation(option) && !this.#takeFlag(option) && !this.#takeBelow(option))
      this.#data.push(option);
    if (option === "rbind") this.#flags |= m.MS_REC;
  }

  #takeIdmap(option: string): void {
    this.#idmap = option.startsWith("r") ? "ridmap" : "idmap";
    this.#idmapText = option.slice(this.#idmap.length + 1);
  }

  #takePropagation(option: string): boolean {
    const kind = propagations[option];
    if (kind === undefined) return false;
    const isSlave = (this.#propagation & m.MS_SLAVE) !== 0n;
    // The one order in which two of them make sense: events come in, and go on to peers of its own.
    this.#propagation = isSlave && (kind & m.MS_SHARED) !== 0n ? this.#propagation | kind : kind;
    return true;
  }

  #takeFlag(option: string): boolean {
    const plain = flagOptions[option];
    const atime = atimeOptions[option];
    const negated = atimeNegations[option];
    if (plain !== undefined) {
      this.#flags = plain[0] ? this.#flags | plain[1] : this.#flags & ~plain[1];
      if (plain[2] !== 0n) this.#own.apply(plain[0], plain[2]);
    } else if (atime !== undefined) {
      this.#flags = (this.#flags & ~allAtimeFlags) | atime[0];
      this.#own.applyAtime(atime[1]);
    } else if (negated !== undefined) {
      this.#flags &= ~negated;
      this.#own.isNamed = true;
    } else return false;
    return true;
  }

  #takeBelow(option: string): boolean {
    const base = option.startsWith("r") ? option.slice(1) : "";
    const plain = flagOptions[base];
    const atime = atimeOptions[base];
    if (plain !== undefined && plain[2] !== 0n) this.#below.apply(plain[0], plain[2]);
    else if (atime !== undefined) this.#below.applyAtime(atime[1]);
    else if (atimeNegations[base] !== undefined) this.#below.applyAtime(a.MOUNT_ATTR_RELATIME);
    // crun takes these words and cannot do more with them either: they belong to a file system, not to a mount.
    else return ignoredBelow.has(option);
    return true;
  }

  result(): MountOptions {
    const words = this.#words;
    const own = this.#own;
    return {
      flags: this.#flags,
      set: own.put,
      clear: own.clear,
      isExact: own.isNamed,
      belowSet: this.#below.put,
      belowClear: this.#below.clear,
      propagation: this.#propagation,
      bind: words.has("bind") || words.has("rbind"),
      remount: words.has("remount"),
      readonly: (this.#flags & m.MS_RDONLY) !== 0n,
      data: this.#data.join(","),
      idmap: this.#idmap,
      idmapText: this.#idmapText,
      copyUp: words.has("tmpcopyup"),
      sourceLink: words.has("src-nofollow"),
      placeLink: words.has("dest-nofollow"),
      copySymlink: words.has("copy-symlink"),
    };
  }
}

const takenWords = new Set([
  "bind",
  "rbind",
  "remount",
  "tmpcopyup",
  "src-nofollow",
  "dest-nofollow",
  "copy-symlink",
]);
const ignoredBelow = new Set(["rsync", "rasync", "rdirsync", "rmand", "rnomand"]);

/** For a new file system, below which nothing is mounted yet: what concerns all below concerns the mount. */
export function withoutBelow(options: readonly string[]): readonly string[] {
  return options.map((option) => {
    const base = option.startsWith("r") ? option.slice(1) : "";
    const isBelow = (flagOptions[base]?.[2] ?? 0n) !== 0n || base in atimeOptions || base in atimeNegations;
    return isBelow ? base : option;
  });
}

/** What a bind must not have, unless the kernel locks it: all that was not named, once something was. */
export function unnamedAttributes(options: MountOptions): bigint {
  if (!options.isExact) return 0n;
  // An access time mode without nodiratime takes nodiratime away; without a mode mount(2) keeps both.
  const named = options.set | options.clear;
  const directories = (options.clear & a.MOUNT_ATTR__ATIME) === 0n ? 0n : a.MOUNT_ATTR_NODIRATIME;
  // nodiratime alone resets the mode to the default, as mount(2) does.
  const mode =
    (named & a.MOUNT_ATTR_NODIRATIME & options.set) !== 0n && (options.clear & a.MOUNT_ATTR__ATIME) === 0n
      ? a.MOUNT_ATTR__ATIME
      : 0n;
  return ((exactAttributes | directories) & ~named) | mode;
}

/** The flags of the file system itself, as options for it. */
export function superOptions(flags: bigint): readonly string[] {
  return superFlags.filter(([flag]) => (flags & flag) !== 0n).map(([, word]) => word);
}

/** `rprivate`, `rslave` … as flags; undefined for an unknown word. */
export function parsePropagation(word: string): bigint | undefined {
  return propagations[word];
}

/** All words that are known, for `features`. */
export const knownMountOptions: readonly string[] = [
  ...Object.keys(flagOptions),
  ...Object.keys(atimeOptions),
  ...Object.keys(atimeNegations),
  ...Object.keys(propagations),
  ...Object.entries(flagOptions).flatMap(([word, [, , attr]]) => (attr === 0n ? [] : [`r${word}`])),
  ...[...Object.keys(atimeOptions), ...Object.keys(atimeNegations)].map((word) => `r${word}`),
  ...takenWords,
  "idmap",
  "ridmap",
].sort();
