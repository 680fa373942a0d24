/**
 * Layers as EROFS files beside layers as directories: whatever an archive holds, the kernel shows the same tree of both, and
 * what one refuses the other refuses in the same words.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { normalize } from "node:path";
import fc from "fast-check";
import { writeLayerFile } from "../../src/image/erofs/write-layer-file.ts";
import { linkToNothing } from "../../src/image/tree-refusals.ts";
import { TreeWriter } from "../../src/image/tree-writer.ts";
import { loadSys } from "../../src/kernel/index.ts";
import {
  decodeName,
  fsName,
  namesIn,
  messageOf,
  tarHeader,
  tarPadding,
  TarReader,
  tarTrailer,
  type TarType,
} from "../../src/lib/index.ts";

const sys = loadSys();
const dir = fs.mkdtempSync("/tmp/gantry-erofs-");
const mountPoint = `${dir}/mount`;
let isMounted = false;

beforeAll(() => fs.mkdirSync(mountPoint));
afterAll(() => {
  unmount();
  fs.rmSync(dir, { recursive: true, force: true });
});

function unmount(): void {
  if (isMounted) sys.umount(mountPoint, 0);
  isMounted = false;
}

/** @returns what was refused */
function attempt(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Writes the archive as a file and mounts it. */
function asFile(tar: Uint8Array, maxBytes = 2 ** 40): string | undefined {
  unmount();
  const file = `${dir}/layer.erofs`;
  fs.rmSync(file, { force: true });
  const fd = fs.openSync(file, "wx+");
  let at = 0;
  const read = (buffer: Buffer): number => {
    // Pieces of odd sizes: an entry begins anywhere in one.
    const piece = tar.subarray(at, at + Math.min(buffer.length, 70_001));
    buffer.set(piece);
    at += piece.length;
    return piece.length;
  };
  const refused = attempt(() => {
    const { linkBelow } = writeLayerFile({ fd, read, maxBytes, missingTrailer: false });
    if (linkBelow !== undefined) throw linkToNothing(linkBelow);
  });
  fs.closeSync(fd);
  if (refused !== undefined) return refused;
  sys.mount(file, mountPoint, "erofs", 1, "");
  isMounted = true;
  return undefined;
}

const unpacked = `${dir}/unpacked`;

/** Makes the archive's files, as the overlay driver does. @returns what was refused, and directories without entry */
function asDirectory(tar: Uint8Array): { readonly refused?: string; readonly implied: readonly string[] } {
  fs.rmSync(unpacked, { recursive: true, force: true });
  fs.mkdirSync(unpacked);
  fs.chmodSync(unpacked, 0o755);
  let implied: readonly string[] = [];
  const refused = attempt(() => {
    const writer = new TreeWriter({ sys, layer: true, maxBytes: 2 ** 40, base: unpacked });
    const reader = new TarReader();
    for (const event of reader.push(tar)) writer.apply(event);
    reader.finish();
    ({ implied } = writer.finish());
  });
  return refused === undefined ? { implied } : { refused, implied };
}

interface Shown {
  readonly [path: string]: string;
}

/** All that the kernel tells of a tree. */
function describeTree(root: string, timeless: ReadonlySet<string> = new Set()): Shown {
  const shown: Record<string, string> = {};
  const inodes = new Map<bigint, string>();
  const visit = (path: string): void => {
    const full = fsName(path === "" ? root : `${root}/${path}`);
    const stat = fs.lstatSync(full, { bigint: true });
    const isWhiteout = stat.isCharacterDevice() && stat.rdev === 0n;
    const first = inodes.get(stat.ino) ?? path;
    inodes.set(stat.ino, first);
    const content = stat.isFile()
      ? createHash("sha256").update(fs.readFileSync(full)).digest("hex")
      : stat.isSymbolicLink()
        ? fs.readlinkSync(full, { encoding: "buffer" }).toString("latin1")
        : "";
    const xattrs = sys
      .listXattrs(full)
      .sort()
      .map((name) => `${name}=${Buffer.from(sys.getXattr(full, name)).toString("hex")}`);
    shown[path] = [
      stat.mode.toString(8),
      stat.uid,
      // A whiteout's group may be its directory's.
      isWhiteout ? "" : stat.gid,
      stat.nlink,
      stat.isDirectory() ? "" : stat.size,
      isWhiteout || timeless.has(path) ? "" : stat.mtimeNs,
      stat.rdev,
      first,
      content,
      ...xattrs,
    ].join(" ");
    expect(stat.ino).not.toBe(0n);
    if (stat.isDirectory()) {
      const names = namesIn(path === "" ? root : `${root}/${path}`).sort();
      for (const name of names) visit(path === "" ? name : `${path}/${name}`);
    }
  };
  visit("");
  return shown;
}

function realPath(path: string): string {
  // A later entry may have taken its place.
  if (attempt(() => fs.statSync(fsName(`${unpacked}/${path}`))) !== undefined) return path;
  const real = fs.realpathSync(fsName(`${unpacked}/${path}`), { encoding: "buffer" });
  return decodeName(real).slice(unpacked.length + 1);
}

function compare(tar: Uint8Array): void {
  const { refused, implied } = asDirectory(tar);
  const fileRefused = asFile(tar);
  // An entry through a link to the link's own directory takes the link's place: only in memory it is still known where. And
  // of links that lead in a circle, the kernel says so at another time.
  if (/^[^:]*: ENOENT|ELOOP/.test(refused ?? "")) return;
  const plain = (words: string | undefined): string | undefined =>
    words?.replaceAll(`${unpacked}/`, "").replace(/(E[A-Z]+: [^,:]*).*/s, "$1");
  expect(plain(fileRefused)).toBe(plain(refused));
  if (refused !== undefined) return;
  // Named as the archive names them, perhaps through a link.
  const timeless = new Set(implied.map((path) => realPath(path)));
  expect(describeTree(mountPoint, timeless)).toEqual(describeTree(unpacked, timeless));
}

interface Entry {
  readonly path: string;
  readonly type: TarType;
  readonly mode: number;
  readonly uid: number;
  readonly mtimeNs: bigint;
  readonly linkPath: string;
  readonly content: Uint8Array;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

function tarOfEntries(entries: readonly Entry[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const { content, ...entry } of entries) {
    const size = entry.type === "file" ? content.length : 0;
    const device = entry.type === "char" || entry.type === "block";
    const fields = { ...entry, gid: entry.uid + 1, size, ...(device ? { devMajor: 7, devMinor: 300 } : {}) };
    const linkPath = entry.type === "symlink" || entry.type === "hardlink" ? entry.linkPath : "";
    parts.push(tarHeader({ ...fields, linkPath }));
    if (size > 0) parts.push(content, tarPadding(size));
  }
  return Buffer.concat([...parts, tarTrailer]);
}

const names = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom("a", "b", "c", "d", "e") },
  { weight: 2, arbitrary: fc.constantFrom("!", "-", "..a", "é", "\udcff\udc80", "z".repeat(255)) },
  { weight: 2, arbitrary: fc.constantFrom(".wh.a", ".wh.b", ".wh.c", ".wh..wh..opq", ".wh..wh.x") },
);
const paths = fc.array(names, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const targets = fc.oneof(
  paths,
  fc
    .array(fc.constantFrom("..", "a", "b", "c", "."), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join("/"))
    // Out of the directory that stands for the root here one comes to other places than out of a child's root.
    .filter((target) => !normalize(target).startsWith("..")),
  fc.constantFrom("x".repeat(255), `${"y".repeat(200)}/`.repeat(18), "/nowhere/at/all"),
);
const attributes = fc
  .dictionary(
    fc.constantFrom("user.x", "user.long", "trusted.t", "trusted.overlay.opaque", "nonsense", "security.x"),
    fc.uint8Array({ maxLength: 600 }),
    { maxKeys: 2 },
  )
  .map((found) => new Map(Object.entries(found)));
const entries: fc.Arbitrary<Entry> = fc.record({
  path: paths,
  type: fc.constantFrom("file", "file", "dir", "dir", "symlink", "hardlink", "char", "block", "fifo"),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.constantFrom(0, 1, 65_536, 4_000_000_000),
  mtimeNs: fc.bigInt({ min: -5_000_000_000n, max: 2n ** 33n * 1_000_000_000n }),
  linkPath: targets,
  content: fc.uint8Array({ maxLength: 3000 }),
  xattrs: fc.oneof({ weight: 4, arbitrary: fc.constant(new Map<string, Uint8Array>()) }, attributes),
});

test("whatever an archive holds, a file shows what a directory shows", () => {
  fc.assert(
    fc.property(fc.array(entries, { maxLength: 14 }), (list) => compare(tarOfEntries(list))),
    { numRuns: Number(process.env["EROFS_RUNS"] ?? 500), endOnFailure: true },
  );
}, 50_000);
