/** What the system tests of the image room share: a store of its own below /tmp, and archives made by GNU tar. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { ImageStore, type SnapshotterWish, Trees } from "../../src/image/index.ts";
import { loadSys } from "../../src/kernel/index.ts";
import { createLogger, Database, GantryError } from "../../src/lib/index.ts";

export interface Fixture extends AsyncDisposable {
  readonly root: string;
  readonly store: ImageStore;
  readonly trees: Trees;
  /** Closes the store as a crash would and opens it anew. */
  reopen(): Fixture;
}

const logger = createLogger("error");

/** How layers are kept in tests: the engine's default, or what is asked for. */
export const snapshotterWish: SnapshotterWish =
  (["overlay", "erofs"] as const).find((name) => name === process.env["GANTRY_SNAPSHOTTER"]) ?? "auto";

/** @param root an existing directory, else a new one */
export function openFixture(
  root = fs.mkdtempSync("/tmp/gantry-image-"),
  snapshotter: SnapshotterWish = snapshotterWish,
): Fixture {
  const sys = loadSys();
  const db = new Database(`${root}/db`);
  const store = new ImageStore({ root, db, sys, logger, snapshotter });
  return {
    root,
    store,
    trees: new Trees(sys, root),
    reopen() {
      db.close();
      return openFixture(root, snapshotter);
    },
    async [Symbol.asyncDispose]() {
      await store.idle();
      store.unmount([]);
      db.close();
      for (const name of fs.readdirSync(root)) fs.rmSync(`${root}/${name}`, { recursive: true, force: true });
      if (!isMountPoint(root)) fs.rmdirSync(root);
    },
  };
}

function isMountPoint(path: string): boolean {
  return fs.readFileSync("/proc/self/mountinfo", "utf8").includes(` ${path} `);
}

/** Runs a shell script in `cwd`; returns its stdout. */
export function sh(cwd: string, script: string, input?: Uint8Array): Buffer {
  const { status, stdout, stderr } = spawnSync("bash", ["-euc", script], {
    cwd,
    input: input ?? "",
    maxBuffer: 1 << 29,
    env: { ...process.env, LC_ALL: "C.UTF-8" },
  });
  if (status !== 0) throw new Error(`${script}\n${stderr.toString()}`);
  return stdout;
}

/** A tar of the directory that `script` fills. */
export function tarOf(script: string, flags = ""): Buffer {
  const dir = fs.mkdtempSync("/tmp/gantry-image-src-");
  try {
    fs.chmodSync(dir, 0o755);
    sh(dir, script);
    return sh(dir, `tar --sort=name --format=posix --xattrs --xattrs-include='*' ${flags} -c .`);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

export async function* stream(
  bytes: Uint8Array,
  pieceBytes = 1 << 16,
): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

export async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}

/** The GantryError of a promise, as `code: message`. */
export async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return error instanceof GantryError ? `${error.code}: ${error.message}` : `not ours: ${String(error)}`;
  }
  return "no error";
}

/** All that a store has on disk, but its database. */
export function leftovers({ root }: Fixture): string[] {
  return ["layers", "ingest", "blobs/sha256", "scratch"].flatMap((dir) =>
    fs.readdirSync(`${root}/${dir}`).map((name) => `${dir}/${name}`),
  );
}
