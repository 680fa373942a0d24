/** From any source to any target, bit for bit: blobs beside each other, then the manifests, an index last. */
import {
  childrenOf,
  choosePlatform,
  type Descriptor,
  hostPlatform,
  type ImageSource,
  type ImageTarget,
  isManifestType,
  isNonDistributable,
  type Manifest,
  parseManifest,
  type PlatformWish,
  type RawManifest,
  walkIndex,
} from "../image/index.ts";
import { type Digest, GantryError } from "../lib/index.ts";

export interface CopyEvent {
  readonly blob: Descriptor;
  readonly status: "waiting" | "copying" | "exists" | "mounted" | "done";
  /** Bytes gone out. */
  readonly current?: number;
  /** The repository that it was mounted from, where that is known. */
  readonly from?: string;
}

export interface CopyRequest {
  readonly source: ImageSource;
  readonly target: ImageTarget;
  /** The name at the target; without: found by digest alone. */
  readonly tag?: string | undefined;
  /** Of an index: this platform's image. */
  readonly platform?: PlatformWish | undefined;
  /** The index with all that is in it. */
  readonly all?: boolean;
  /** What refers to it (signatures, attestations) comes along. */
  readonly referrers?: boolean;
  /** Manifests of an index that the source lacks are left out: the index names them nevertheless. */
  readonly sparse?: boolean;
  /** Blobs at once; default 4. */
  readonly jobs?: number;
  readonly onProgress?: ((event: CopyEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What refers to what refers to …: signatures of attestations are in use, longer chains are an attack. */
const maxReferrerDepth = 4;
const maxReferrers = 1_000;
/** Blobs beside each other, whatever is asked for. */
const maxJobs = 32;

/** @returns the manifest that was copied in the end. @throws {GantryError} of source or target; what was copied stays */
export async function copyImage(request: CopyRequest): Promise<RawManifest> {
  request.source.streamTo?.(request.target);
  const root = await chosen(request);
  const state: State = { request, done: new Set(), referrers: 0 };
  await copyTree(state, root, request.tag);
  if (request.referrers === true) await copyReferrers(state, root.digest, 0);
  return root;
}

interface State {
  readonly request: CopyRequest;
  /** Digests of blobs that are there. */
  readonly done: Set<string>;
  referrers: number;
}

async function chosen({ source, all, platform, signal }: CopyRequest): Promise<RawManifest> {
  let raw = await source.manifest(undefined, signal);
  if (all === true) return raw;
  const wish = platform ?? hostPlatform();
  // An index in an index is the most that is in use; walkIndex bounds the rest.
  for (let depth = 0; depth < 8; depth++) {
    const manifest = parseManifest(raw.bytes, raw.mediaType);
    if (manifest.kind === "image") return raw;
    raw = await fetchChild(source, choosePlatform(manifest.manifests, wish), signal);
  }
  throw new GantryError("corrupt", `${source.name}: the index is nested too deep`);
}

async function fetchChild(
  source: ImageSource,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): Promise<RawManifest> {
  const raw = await source.manifest(descriptor.digest, signal);
  if (raw.bytes.length === descriptor.size && raw.mediaType === descriptor.mediaType) return raw;
  throw new GantryError(
    "corrupt",
    `${source.name}: the manifest ${descriptor.digest} is not of the size and type that its index says`,
  );
}

async function copyTree(state: State, root: RawManifest, tag: string | undefined): Promise<void> {
  const { source, target, signal, sparse = false } = state.request;
  const walk = walkIndex(root, {
    fetch: (descriptor) =>
      fetchChild(source, descriptor, signal).catch((error: unknown) => {
        if (sparse && error instanceof GantryError && error.code === "not-found") return undefined;
        throw error;
      }),
  });
  for await (const { raw, manifest, depth } of walk) {
    await copyBlobs(state, manifest);
    await target.putManifest(raw, depth === 0 ? tag : undefined, signal);
  }
}

async function copyBlobs(state: State, manifest: Manifest): Promise<void> {
  const { onProgress, jobs = 4, signal: outer } = state.request;
  const wanted = new Map<Digest, Descriptor>();
  for (const blob of childrenOf(manifest)) {
    const isManifest = manifest.kind === "index" && isManifestType(blob.mediaType);
    if (!isManifest && !isNonDistributable(blob) && !state.done.has(blob.digest))
      wanted.set(blob.digest, blob);
  }
  for (const blob of wanted.values()) onProgress?.({ blob, status: "waiting" });
  const queue = [...wanted.values()];
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(outer === undefined ? [] : [outer])]);
  const failures: unknown[] = [];
  const work = async (): Promise<void> => {
    for (let blob = queue.shift(); blob !== undefined && failures.length === 0; blob = queue.shift()) {
      try {
        await copyBlob(state, blob, signal);
      } catch (error) {
        failures.push(error);
        // What the others would still bring is of no use.
        stop.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(jobs, maxJobs)) }, work));
  if (failures.length > 0) throw failures[0];
}

async function copyBlob({ request, done }: State, blob: Descriptor, signal: AbortSignal): Promise<void> {
  const { source, target, onProgress } = request;
  if (target.hasStreamed?.(blob) === true) {
    onProgress?.({ blob, status: "done" });
    return void done.add(blob.digest);
  }
  const isThere = await target.hasBlob(blob, signal);
  const from = !isThere && (await target.mountBlob(blob, source, signal));
  if (isThere) onProgress?.({ blob, status: "exists" });
  else if (from === false) {
    onProgress?.({ blob, status: "copying", current: 0 });
    await target.putBlob(blob, {
      open: (offset) => source.blob(blob, { offset, signal }),
      onProgress: (current) => onProgress?.({ blob, status: "copying", current }),
      signal,
    });
    onProgress?.({ blob, status: "done" });
  } else onProgress?.({ blob, status: "mounted", ...(from === true ? {} : { from }) });
  done.add(blob.digest);
}

async function copyReferrers(state: State, subject: Digest, depth: number): Promise<void> {
  const { source, signal } = state.request;
  if (depth >= maxReferrerDepth) return;
  for (const descriptor of await source.referrers(subject, undefined, signal)) {
    if (++state.referrers > maxReferrers)
      throw new GantryError(
        "corrupt",
        `${source.name}: more than ${maxReferrers} manifests refer to ${subject}`,
      );
    const raw = await source.manifest(descriptor.digest, signal);
    await copyTree(state, raw, undefined);
    await copyReferrers(state, raw.digest, depth + 1);
  }
}
