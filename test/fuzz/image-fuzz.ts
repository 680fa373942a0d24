/**
 * Fuzzing what reads foreign bytes of images: image-fuzz.ts MINUTES [SEED], a part of `make fuzz`. Ends with status 1 and the
 * seed of the input that broke a rule; `image-fuzz.ts 0 SEED` tries that one again.
 */
import { runChild } from "../../src/image/child.ts";
import { GantryError } from "../../src/lib/index.ts";
import { tryManifest, tryReference } from "./document-fuzz.ts";
import { Random } from "./random.ts";
import { mutated, seedArchives, tryArchive } from "./tar-fuzz.ts";
import * as fs from "node:fs";

export interface ImageFuzzCount {
  archives: number;
  acceptedArchives: number;
  manifests: number;
  acceptedManifests: number;
  references: number;
  acceptedReferences: number;
}

export const noCount = (): ImageFuzzCount => ({
  archives: 0,
  acceptedArchives: 0,
  manifests: 0,
  acceptedManifests: 0,
  references: 0,
  acceptedReferences: 0,
});

/** One archive, ten manifests, ten names: the same for the same seed. @throws with the seed when a rule is broken */
export function fuzzOnce(seed: number, archives: readonly Buffer[], count: ImageFuzzCount): void {
  const random = new Random(seed);
  try {
    count.archives++;
    if (tryArchive(random, mutated(random, archives))) count.acceptedArchives++;
    for (let i = 0; i < 10; i++) {
      count.manifests++;
      if (tryManifest(random)) count.acceptedManifests++;
      count.references++;
      if (tryReference(random)) count.acceptedReferences++;
    }
  } catch (cause) {
    throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Applies a changed archive in a confined child: it ends in our words, and beside its directory nothing changes. Root. */
export async function applyOnce(seed: number, archives: readonly Buffer[], dir: string): Promise<void> {
  const archive = mutated(new Random(seed), archives);
  async function* source(): AsyncGenerator<Uint8Array> {
    yield archive;
  }
  for (const name of ["scratch", "beside", "target"]) fs.mkdirSync(`${dir}/${name}`, { recursive: true });
  const target = `${dir}/target`;
  const work = {
    job: "unpack-layer",
    target,
    parents: [],
    maxBytes: 1 << 24,
    missingTrailer: false,
    measure: "always",
  } as const;
  try {
    await runChild({ scratch: `${dir}/scratch`, work, source: source() });
  } catch (error) {
    if (!(error instanceof GantryError) || error.code === "internal")
      throw new Error(`seed ${seed} applied`, { cause: error });
  }
  const left = [
    ...fs.readdirSync(`${dir}/beside`),
    ...fs.readdirSync(`${dir}/scratch`),
    ...fs.readdirSync(dir),
  ];
  if (left.length !== 3) throw new Error(`seed ${seed}: applied outside of its directory: ${left.join(" ")}`);
  fs.rmSync(target, { recursive: true, force: true });
}

if (import.meta.main) {
  const minutes = Number(process.argv[2] ?? 10);
  const first = Number(process.argv[3] ?? Date.now() % 2 ** 31);
  const [count, archives] = [noCount(), seedArchives()];
  const until = performance.now() + minutes * 60_000;
  const dir = fs.mkdtempSync("/tmp/gantry-fuzz-apply-");
  let applied = 0;
  try {
    process.stdout.write(`seed ${first}, ${archives.length} archives\n`);
    for (let seed = first; seed === first || performance.now() < until; seed++) {
      fuzzOnce(seed, archives, count);
      if (process.getuid?.() === 0 && seed % 100 === first % 100) {
        await applyOnce(seed, archives, dir);
        applied++;
      }
    }
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
  process.stdout.write(`${JSON.stringify({ ...count, applied })}\n`);
}
