/** What a confined child can do, one function a job. Only blocking calls: see confine.ts. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import type { Sys } from "../kernel/index.ts";
import { GantryError, isErrno, tarHeader, TarReader, toGantryError } from "../lib/index.ts";
import type { ChildJob, MeasuredLayer, Owner, UnpackedLayer } from "./child-request.ts";
import { enterLayer, enterRoot, leaveParents, parentsDir } from "./confine.ts";
import { writeLayerFile, writeTreeAgain } from "./erofs/write-layer-file.ts";
import { inheritDirectories } from "./inherit.ts";
import { listTree } from "./list-tree.ts";
import { removeStubs } from "./stubs.ts";
import { TreeReader } from "./tree-reader.ts";
import { TreeWriter, type TreeSummary } from "./tree-writer.ts";

const chunkBytes = 1 << 20;

type Job<K extends ChildJob["job"]> = Extract<ChildJob, { job: K }>;

/** Does the job and returns its report. */
export function runJob(sys: Sys, job: ChildJob): unknown {
  switch (job.job) {
    case "unpack-layer":
      return unpackLayer(sys, job);
    case "inherit-layer":
      return inheritLayer(sys, job);
    case "erofs-layer":
      return erofsLayer(sys, job);
    case "guard-file":
      return guardFile(sys, job.file);
    case "diff-layer":
      return diffLayer(sys, job);
    case "layer-tar":
      enterLayer(sys, job.target, []);
      return writeLayer(sys, writeOut());
    case "pack":
      return pack(sys, job);
    case "unpack":
      return unpack(sys, job);
    case "list":
      return list(sys, job);
    case "read":
      return read(sys, job);
  }
}

/** Applies the tar on stdin; `isOurs` tells whether it begins as the tars of tree-reader.ts do. */
function applyInput(
  writer: TreeWriter,
  missingTrailer: boolean,
): { readonly summary: TreeSummary; readonly isOurs: boolean } {
  const reader = new TarReader({ missingTrailer });
  const buffer = Buffer.allocUnsafeSlow(chunkBytes);
  let head: Buffer = Buffer.alloc(0);
  let isOurs: boolean | undefined;
  for (;;) {
    const count = fs.readSync(0, buffer, 0, buffer.length, null);
    if (count === 0) break;
    const chunk = buffer.subarray(0, count);
    if (head.length < 512) head = Buffer.concat([head, chunk]).subarray(0, 512);
    for (const event of reader.push(chunk)) {
      if (event.kind === "entry") isOurs ??= head.equals(tarHeader(event.entry).subarray(0, 512));
      writer.apply(event);
    }
  }
  reader.finish();
  return { summary: writer.finish(), isOurs: isOurs === true };
}

function unpackLayer(sys: Sys, job: Job<"unpack-layer">): UnpackedLayer {
  enterLayer(sys, job.target, job.parents);
  const below = job.parents.length > 0 ? parentsDir : undefined;
  const writer = new TreeWriter({ sys, layer: true, maxBytes: job.maxBytes, below });
  const { summary, isOurs } = applyInput(writer, job.missingTrailer);
  if (job.parents.length > 0) inheritDirectories(sys, summary.implied, parentsDir);
  leaveParents(sys);
  const canonical =
    job.measure === "always" || (job.measure === "if-ours" && isOurs) ? measure(sys) : undefined;
  sync(sys);
  const { entries, bytes, implied } = summary;
  return { entries, size: bytes, implied, ...(canonical === undefined ? {} : { canonical }) };
}

function inheritLayer(sys: Sys, job: Job<"inherit-layer">): null {
  enterLayer(sys, job.target, job.parents);
  inheritDirectories(sys, job.implied, parentsDir);
  leaveParents(sys);
  sync(sys);
  return null;
}

/** The file is opened before the child shuts itself in: of the archive no path is ever opened. The engine syncs it. */
function erofsLayer(sys: Sys, { file, maxBytes, missingTrailer, again }: Job<"erofs-layer">): UnpackedLayer {
  const fd = fs.openSync(file, again === undefined ? "wx+" : "r+", 0o600);
  enterRoot(sys, { lowers: again?.parents ?? [] }, "read");
  if (again !== undefined)
    return writeTreeAgain({ fd, tarSize: again.tarSize, maxBytes, below: { sys, root: "/." } });
  const read = (buffer: Buffer): number => fs.readSync(0, buffer, 0, buffer.length, null);
  return writeLayerFile({ fd, read, maxBytes, missingTrailer });
}

function guardFile(sys: Sys, file: string): null {
  const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  try {
    sys.enableVerity(fd);
  } catch (error) {
    throw toGantryError(error, "guard the layer by fs-verity");
  } finally {
    fs.closeSync(fd);
  }
  return null;
}

function diffLayer(sys: Sys, job: Job<"diff-layer">): MeasuredLayer | null {
  enterLayer(sys, job.target, job.parents);
  const below = job.parents.length > 0 ? parentsDir : undefined;
  removeStubs(sys, job.stubs, below);
  const sameRoot = below !== undefined && sameDirectory("/", below);
  leaveParents(sys);
  if (sameRoot && fs.readdirSync("/").length === 0) return null;
  const measured = measure(sys);
  sync(sys);
  return measured;
}

/** Times aside: making and removing a file changes them, and is no change of the image. */
function sameDirectory(a: string, b: string): boolean {
  const [x, y] = [fs.lstatSync(a), fs.lstatSync(b)];
  return x.mode === y.mode && x.uid === y.uid && x.gid === y.gid;
}

/** All data to disk, so that a layer's record never tells of files that a power cut took. */
function sync(sys: Sys): void {
  const fd = fs.openSync("/", fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    sys.syncfs(fd);
  } catch (error) {
    throw toGantryError(error, "write the layer to disk");
  } finally {
    fs.closeSync(fd);
  }
}

/** The deterministic tar of the layer at `/`. */
function writeLayer(sys: Sys, out: Output): MeasuredLayer {
  const hash = createHash("sha256");
  let tarSize = 0;
  const write = (bytes: Uint8Array): void => {
    hash.update(bytes);
    tarSize += bytes.length;
    out.write(bytes);
  };
  const reader = new TreeReader({ sys, whiteouts: true, write });
  reader.addRoot("/");
  const { bytes } = reader.finish();
  out.flush();
  return { digest: `sha256:${hash.digest("hex")}`, tarSize, size: bytes };
}

function measure(sys: Sys): MeasuredLayer {
  return writeLayer(sys, { write: () => undefined, flush: () => undefined });
}

interface Output {
  /** Takes a copy. */
  write(bytes: Uint8Array): void;
  flush(): void;
}

/** Stdout, in large pieces: the other side is an event loop. */
function writeOut(): Output {
  const buffer = Buffer.allocUnsafeSlow(chunkBytes / 4);
  let filled = 0;
  const flush = (): void => {
    writeAll(buffer.subarray(0, filled));
    filled = 0;
  };
  return {
    flush,
    write(bytes) {
      if (filled + bytes.length > buffer.length) flush();
      if (bytes.length > buffer.length) return writeAll(bytes);
      buffer.set(bytes, filled);
      filled += bytes.length;
    },
  };
}

function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += fs.writeSync(1, bytes, at, bytes.length - at);
}

function pack(sys: Sys, job: Job<"pack">): unknown {
  enterRoot(sys, job.root, "read");
  const out = writeOut();
  const reader = new TreeReader({
    sys,
    whiteouts: false,
    write: (bytes) => out.write(bytes),
    exclude: new Set(job.exclude),
    owner: job.owner,
    mode: job.chmod,
  });
  for (const item of job.items)
    reader.add(`/${item.path.replace(/^\/+/, "")}`, item.as, item.contentsOnly === true);
  const summary = reader.finish();
  out.flush();
  return summary;
}

function unpack(sys: Sys, job: Job<"unpack">): TreeSummary {
  enterRoot(sys, job.root, "write");
  const base = `/${job.dest
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")}`;
  makeBase(base, job.owner);
  const options = {
    sys,
    layer: false,
    maxBytes: job.maxBytes,
    owner: job.owner,
    base: base === "/" ? "" : base,
  };
  return applyInput(new TreeWriter(options), job.missingTrailer).summary;
}

/** The destination with its parents, links followed inside the root. */
function makeBase(path: string, owner: Owner | undefined): void {
  try {
    if (fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
    makeBase(path.slice(0, path.lastIndexOf("/")) || "/", owner);
    fs.mkdirSync(path, 0o755);
  } catch (error) {
    if (!isErrno(error, "EEXIST", "ENOTDIR")) throw toGantryError(error, `make ${path}`);
    throw new GantryError("conflict", `${path} is not a directory`, { cause: error });
  }
  if (owner !== undefined) fs.chownSync(path, owner.uid, owner.gid);
}

function list(sys: Sys, job: Job<"list">): { readonly exists: boolean } {
  enterRoot(sys, job.root, "read");
  const out = writeOut();
  const path = `/${job.path.replace(/^\/+/, "")}`;
  const exists = listTree(path, job, (entry) => out.write(Buffer.from(`${JSON.stringify(entry)}\n`)));
  out.flush();
  return { exists };
}

function read(sys: Sys, job: Job<"read">): { readonly exists: boolean } {
  enterRoot(sys, job.root, "read");
  const path = `/${job.path.replace(/^\/+/, "")}`;
  let fd: number;
  try {
    fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return { exists: false };
    throw toGantryError(error, `read ${path}`);
  }
  const stat = fs.fstatSync(fd);
  if (!stat.isFile()) throw new GantryError("invalid", `${path} is not a regular file`);
  if (stat.size > job.maxBytes)
    throw new GantryError("exhausted", `${path} is larger than ${job.maxBytes} bytes`);
  // What grows meanwhile is cut off at the limit.
  const bytes = Buffer.alloc(stat.size);
  let filled = 0;
  for (let count = -1; count !== 0 && filled < bytes.length; filled += count) {
    count = fs.readSync(fd, bytes, filled, bytes.length - filled, null);
  }
  fs.closeSync(fd);
  writeAll(bytes.subarray(0, filled));
  return { exists: true };
}
