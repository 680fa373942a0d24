/** What `docker cp` is told of a path: the header X-Docker-Container-Path-Stat. Pure. */

/** What is known of a file. */
export interface ListedFile {
  readonly type: "file" | "dir" | "symlink" | "other";
  readonly mode: number;
  readonly size: number;
  /** Nanoseconds since 1970, decimal. */
  readonly mtimeNs: string;
  readonly linkPath: string;
}

export interface PathStat {
  readonly name: string;
  readonly size: number;
  /** Bits of Go's os.FileMode. */
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}

/** Go's bits above the permissions (io/fs, FileMode). */
const goType = { file: 0, dir: 2 ** 31, symlink: 2 ** 27, other: 2 ** 19 } as const;
const goSpecial = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
] as const;

export function wirePathStat(path: string, file: ListedFile): PathStat {
  const special = goSpecial.reduce((sum, [bit, go]) => sum + ((file.mode & bit) === 0 ? 0 : go), 0);
  const ns = BigInt(file.mtimeNs);
  const fraction = String(ns % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const seconds = new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19);
  return {
    name: baseName(path),
    size: file.size,
    mode: goType[file.type] + special + (file.mode & 0o777),
    mtime: `${seconds}${fraction === "" ? "" : `.${fraction}`}Z`,
    linkTarget: file.linkPath,
  };
}

/** The last name of a path; `/` for the root, and of `dir/.` the directory's. */
function baseName(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return parts.at(-1) ?? "/";
}
