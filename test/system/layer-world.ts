/** Layer directories as the confined children make and read them, and an eye on trees that is not ours. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { runChild, streamChild } from "../../src/image/child.ts";
import type { UnpackedLayer } from "../../src/image/child-request.ts";
import { bytesOf, stream } from "./image-fixture.ts";

/** Every name, link and attribute of a tree as bytes in hex, told by Python. */
const look = `
import os, stat, sys, json, hashlib
root = os.fsencode(sys.argv[1]); seen = {}; out = []
def one(path):
    s = os.lstat(path); name = path[len(root):] or b"/"
    link = os.readlink(path).hex() if stat.S_ISLNK(s.st_mode) else ""
    data = hashlib.sha256(open(path, "rb").read()).hexdigest() if stat.S_ISREG(s.st_mode) else ""
    first = ""
    if not stat.S_ISDIR(s.st_mode):
        first = seen.setdefault(s.st_ino, name).hex()
    attrs = {}
    for key in sorted(os.listxattr(path, follow_symlinks=False)):
        attrs[key] = os.getxattr(path, key, follow_symlinks=False).hex()
    dev = "%d:%d" % (os.major(s.st_rdev), os.minor(s.st_rdev)) if stat.S_ISCHR(s.st_mode) or stat.S_ISBLK(s.st_mode) else ""
    out.append(dict(name=name.hex(), mode=oct(s.st_mode), uid=s.st_uid, gid=s.st_gid, ns=str(s.st_mtime_ns),
        link=link, data=data, first=first, attrs=attrs, dev=dev))
    if stat.S_ISDIR(s.st_mode):
        for child in sorted(os.listdir(path)): one(path + b"/" + child)
one(root); print(json.dumps(out))
`;

export interface Seen {
  readonly name: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds of the last change, decimal. */
  readonly ns: string;
  readonly link: string;
  readonly data: string;
  readonly first: string;
  readonly attrs: Readonly<Record<string, string>>;
  readonly dev: string;
}

export function seen(dir: string): readonly Seen[] {
  const { status, stdout, stderr } = spawnSync("python3", ["-c", look, dir], { maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(stderr.toString());
  return JSON.parse(stdout.toString()) as Seen[];
}

/** Times as layers of gantry keep them. */
export function inSeconds(all: readonly Seen[]): readonly Seen[] {
  return all.map((one) => ({ ...one, ns: String((BigInt(one.ns) / 10n ** 9n) * 10n ** 9n) }));
}

export class LayerWorld implements Disposable {
  readonly root: string = fs.mkdtempSync("/tmp/gantry-layers-");
  readonly #scratch = `${this.root}/scratch`;
  #count = 0;

  constructor() {
    fs.mkdirSync(this.#scratch);
  }

  /** A new directory, with the mode that a layer's root has. */
  dir(): string {
    const dir = `${this.root}/${this.#count++}`;
    fs.mkdirSync(dir);
    fs.chmodSync(dir, 0o755);
    return dir;
  }

  /** Applies an archive to a new directory, and says what that is. */
  async apply(tar: Uint8Array, parents: readonly string[] = [], maxBytes = 2 ** 30): Promise<string> {
    const target = this.dir();
    const { scratch, source, work } = this.unpacking(target, stream(tar), { parents, maxBytes });
    (await runChild({ scratch, source, work })) as UnpackedLayer;
    return target;
  }

  unpacking(
    target: string,
    source: AsyncIterable<Uint8Array>,
    { parents = [] as readonly string[], maxBytes = 2 ** 30 } = {},
  ): Parameters<typeof runChild>[0] {
    return {
      scratch: this.#scratch,
      source,
      work: { job: "unpack-layer", target, parents, maxBytes, missingTrailer: false, measure: "never" },
    };
  }

  /** The layer of a directory: gantry's diff. */
  tar(target: string): Promise<Buffer> {
    return bytesOf(streamChild({ scratch: this.#scratch, work: { job: "layer-tar", target } }));
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.root, { recursive: true, force: true });
  }
}
