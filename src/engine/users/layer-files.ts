/**
 * Reads a small file of a container's root without mounting it: through the upper directory and the lower layers, as overlayfs
 * would show it, symlinks followed inside that root only. Whoever made the image or runs in the container must not be able to
 * make this read a file of the host, nor wait.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
} from "node:fs";
import { isErrno } from "../../lib/index.ts";
import type { Sys } from "../../kernel/index.ts";

/** As the kernel (path_resolution(7)). */
const maxLinks = 40;
const opaqueXattr = "trusted.overlay.opaque";

type Found =
  | { readonly kind: "none" }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "at"; readonly layers: readonly string[] };

export class LayerFiles {
  readonly #sys: Pick<Sys, "getXattr">;
  readonly #layers: readonly string[];

  /** @param layers directories, the top one first */
  constructor(sys: Pick<Sys, "getXattr">, layers: readonly string[]) {
    this.#sys = sys;
    this.#layers = layers;
  }

  /** The first `maxBytes` of a regular file; undefined when there is none at this path. */
  read(path: string, maxBytes: number): Uint8Array | undefined {
    const places = this.#resolve(path);
    const top = places?.[0];
    return top === undefined ? undefined : readRegular(top, this.#layers, maxBytes);
  }

  /** Where a directory lies in the layers, top first; empty when there is none at this path. */
  directories(path: string): readonly string[] {
    return (this.#resolve(path) ?? []).filter((place) => lstatOrNone(place)?.isDirectory() === true);
  }

  /** Host paths of what stands at `path`: several for a directory that several layers have a part of. */
  #resolve(path: string): readonly string[] | undefined {
    const waiting = path.split("/").reverse();
    let parents: { readonly places: readonly string[] }[] = [{ places: this.#layers }];
    let links = 0;
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        if (parents.length > 1) parents.pop();
        continue;
      }
      const found = this.#child(parents.at(-1)?.places ?? [], name);
      if (found.kind === "none") return undefined;
      if (found.kind === "at") {
        parents.push({ places: found.layers });
        continue;
      }
      if (++links > maxLinks) return undefined;
      if (found.target.startsWith("/")) parents = parents.slice(0, 1);
      waiting.push(...found.target.split("/").reverse());
    }
    return parents.at(-1)?.places;
  }

  /** Merges one name of the directories `places`: the topmost decides, directories go on below unless they are opaque. */
  #child(places: readonly string[], name: string): Found {
    const layers: string[] = [];
    for (const place of places) {
      const path = `${place}/${name}`;
      const stat = lstatOrNone(path);
      if (stat === undefined) continue;
      if (isWhiteout(stat)) break;
      if (!stat.isDirectory()) {
        if (layers.length > 0) break;
        return stat.isSymbolicLink()
          ? { kind: "link", target: readlinkSync(path) }
          : { kind: "at", layers: [path] };
      }
      layers.push(path);
      if (this.#isOpaque(path)) break;
    }
    return layers.length === 0 ? { kind: "none" } : { kind: "at", layers };
  }

  #isOpaque(path: string): boolean {
    try {
      return Buffer.from(this.#sys.getXattr(path, opaqueXattr)).toString("latin1") === "y";
    } catch (error) {
      if (isErrno(error, "ENODATA", "EOPNOTSUPP", "ENOTSUP", "ENOENT")) return false;
      throw error;
    }
  }
}

/** A character device 0/0 hides what is below (overlayfs, "whiteouts and opaque directories"). */
function isWhiteout(stat: Stats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0;
}

function lstatOrNone(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ENAMETOOLONG")) return undefined;
    throw error;
  }
}

/** A running container may swap a directory for a link between look and open: where the file really lies is checked after it. */
function readRegular(path: string, layers: readonly string[], maxBytes: number): Uint8Array | undefined {
  let fd: number;
  try {
    fd = openSync(
      path,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
  } catch (error) {
    // Gone, turned into a link, a socket or a device without a driver.
    if (isErrno(error, "ENOENT", "ELOOP", "ENOTDIR", "ENXIO", "ENODEV")) return undefined;
    throw error;
  }
  try {
    const real = realpathSync(`/proc/self/fd/${fd}`);
    if (!fstatSync(fd).isFile() || !layers.some((layer) => real.startsWith(`${realpathSync(layer)}/`)))
      return undefined;
    const bytes = Buffer.alloc(maxBytes);
    return bytes.subarray(0, readSync(fd, bytes, 0, maxBytes, 0));
  } finally {
    closeSync(fd);
  }
}
