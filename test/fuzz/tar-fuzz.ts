/** Archives of several writers, changed at random: the reader ends in events that make sense or in a word of ours. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { GantryError, tarHeader, TarReader, tarTrailer } from "../../src/lib/index.ts";
import type { Random } from "./random.ts";

const block = 512;
const slowMs = 2000;

const tree = `mkdir -p d/e; printf hello >d/file; ln d/file hard; ln -s d/file link; mkfifo fifo
  L=$(printf 'n%.0s' $(seq 180)); mkdir -p "$L"; printf x >"$L/$L"; truncate -s 300000 sparse
  for i in 0 1 2 3 4 5 6; do printf "p$i" | dd of=sparse bs=1 seek=$((i * 40000)) conv=notrunc status=none; done
  printf y >"$(printf 'caf\\351')"; setfattr -n user.x -v y d/file 2>/dev/null || true`;

const writers = [
  "tar --format=v7 -c d/file hard link",
  "tar --format=ustar -c d hard link fifo",
  "tar --format=gnu -S -c .",
  "tar --format=oldgnu -S -c .",
  "tar --format=posix --xattrs -S --sparse-version=1.0 -c .",
  "tar --format=posix -S --sparse-version=0.1 -c .",
  "tar --format=posix -S --sparse-version=0.0 -c .",
  "tar --format=posix --pax-option=globexthdr.name=g,comment=c,mtime=7 -c d",
  "bsdtar --format pax --xattrs -cf - .",
  "bsdtar --format gnutar -cf - .",
];

/** Archives to begin with; those of tools that are not here are left out. */
export function seedArchives(): readonly Buffer[] {
  const dir = fs.mkdtempSync("/tmp/gantry-fuzz-tar-");
  try {
    const run = (script: string): Buffer =>
      spawnSync("bash", ["-c", script], { cwd: dir, maxBuffer: 1 << 26 }).stdout;
    run(tree);
    const own = Buffer.concat([
      tarHeader({ path: "o/".repeat(90), type: "dir", uid: 3e6, mtimeNs: -5n }),
      tarTrailer,
    ]);
    return [own, ...writers.map(run)].filter((archive) => archive.length > block);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** A changed copy. Checksums are mended most of the time, or all that is tried is the checksum. */
export function mutated(random: Random, archives: readonly Buffer[]): Buffer {
  let archive = Buffer.from(random.pick(archives));
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(archive.length / block) * block;
    switch (random.below(7)) {
      case 0:
        archive[random.below(archive.length)] = random.below(256);
        break;
      case 1:
        archive = archive.subarray(0, random.below(archive.length));
        if (archive.length < block) return archive;
        continue;
      case 2:
        archive = Buffer.concat([archive.subarray(0, at), archive.subarray(at + block)]);
        break;
      case 3:
        archive = Buffer.concat([
          archive.subarray(0, at),
          archive.subarray(random.below(archive.length / block) * block),
        ]);
        break;
      case 4:
        archive[at + 156] = random.pick([..."\x0001234567LKSxgDVMNX"]).charCodeAt(0);
        break;
      case 5:
        numberField(random).copy(
          archive,
          at + random.pick([100, 108, 116, 124, 136, 329, 337, 386, 398, 483]),
        );
        break;
      default:
        text(random).copy(archive, at + random.pick([0, 157, 257, 345, 500]));
    }
    if (random.below(8) > 0) mendChecksum(archive, at);
    if (archive.length < block) return archive;
  }
  return archive;
}

function numberField(random: Random): Buffer {
  return random.pick([
    Buffer.from("77777777777\0"),
    Buffer.from("-1\0"),
    Buffer.from("        \0"),
    Buffer.from("00000010000\0"),
    Buffer.concat([Buffer.from([0x80]), random.bytes(7)]),
    Buffer.concat([Buffer.from([0xff]), random.bytes(11)]),
    Buffer.from(`${random.below(8 ** 7).toString(8)}\0`),
  ]);
}

function text(random: Random): Buffer {
  return random.pick([
    Buffer.from("../../etc/passwd\0"),
    Buffer.from("/etc/passwd\0"),
    Buffer.from("ustar\0" + "00"),
    Buffer.from("ustar  \0"),
    Buffer.from("11 path=../x\n"),
    Buffer.from("30 GNU.sparse.map=0,1,0,1,0,1\n"),
    Buffer.from(".wh..wh..opq\0"),
    random.bytes(12),
  ]);
}

function mendChecksum(archive: Buffer, at: number): void {
  const header = archive.subarray(at, at + block);
  if (header.length < block) return;
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

/** What the reader made of an archive: a digest of its events, or the code of its error. */
function read(archive: Buffer, pieces: () => number): string {
  const reader = new TarReader();
  const hash = createHash("sha256");
  let stored = 0;
  let end = 0;
  const take = (piece: Uint8Array): void => {
    for (const event of reader.push(piece)) {
      if (event.kind === "data") {
        stored += event.bytes.length;
        if (event.offset < end || event.offset + event.bytes.length > event.entry.size)
          throw new Error(
            `data at ${event.offset} of ${event.entry.path}, which has ${event.entry.size} bytes`,
          );
        end = event.offset + event.bytes.length;
        hash.update(event.bytes);
      } else {
        end = 0;
        const { xattrs, mtimeNs, ...rest } = event.entry;
        hash.update(JSON.stringify([event.kind, rest, String(mtimeNs), [...xattrs].map(([name]) => name)]));
      }
    }
  };
  try {
    for (let at = 0; at < archive.length;) {
      const size = pieces();
      take(archive.subarray(at, at + size));
      at += size;
    }
    reader.finish();
  } catch (error) {
    if (error instanceof GantryError) return `${error.code}: ${error.message}`;
    throw error;
  }
  if (stored > archive.length) throw new Error(`${stored} bytes of ${archive.length}`);
  return hash.digest("hex");
}

/** @returns whether it was accepted. @throws when a rule is broken */
export function tryArchive(random: Random, archive: Buffer): boolean {
  const begun = performance.now();
  const whole = read(archive, () => archive.length);
  const inPieces = read(archive, () => 1 + random.below(2000));
  if (whole !== inPieces) throw new Error(`in one piece: ${whole}; in several: ${inPieces}`);
  const took = performance.now() - begun;
  if (took > slowMs) throw new Error(`it took ${took} ms`);
  return !whole.includes(":");
}
