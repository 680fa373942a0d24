/** Bringing an image here and sending it away: the store and the registries together, in docker's words when they refuse. */
import { type AuthConfig, copyImage, type CopyEvent, type Registries } from "../distribution/index.ts";
import {
  familiarName,
  familiarRepository,
  type ImageSource,
  type ImageStore,
  parseManifest,
  type PlatformWish,
  type PulledImage,
  type PullEvent,
  type RawManifest,
  type Reference,
  type SourceOptions,
} from "../image/index.ts";
import { type Digest, GantryError } from "../lib/index.ts";

/** As many as dockerd sends at a time. */
const usualUploads = 5;

export interface Traders {
  readonly images: ImageStore;
  readonly registries: Registries;
}

export interface PullOptions {
  readonly auth?: AuthConfig | undefined;
  readonly platform?: PlatformWish | undefined;
  readonly onProgress?: ((event: PullEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @param reference with its tag or digest. @throws {GantryError} in docker's words */
export async function pullReference(
  { images, registries }: Traders,
  reference: Reference,
  { auth, ...options }: PullOptions,
): Promise<PulledImage> {
  try {
    await using source = await registries.source(reference, auth);
    return await images.pull({ source, reference, ...options });
  } catch (error) {
    throw pullError(error, reference);
  }
}

/** All tags of a repository. */
export async function remoteTags(
  { registries }: Pick<Traders, "registries">,
  reference: Reference,
  auth: AuthConfig | undefined,
): Promise<readonly string[]> {
  try {
    await using source = await registries.source(reference, auth);
    return await source.tags();
  } catch (error) {
    throw pullError(error, reference);
  }
}

export interface PushOptions extends SourceOptions {
  readonly auth?: AuthConfig | undefined;
  /** Is told the digests of the layers' archives, bottom first, before any is sent. */
  readonly onLayers?: ((layers: readonly Digest[]) => void) | undefined;
  readonly onProgress?: ((event: CopyEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @param reference a name with its tag that an image has here; @returns the manifest that the registry has now */
export async function pushReference(
  { images, registries }: Traders,
  reference: Reference,
  { auth, onLayers, onProgress, signal, ...options }: PushOptions,
): Promise<RawManifest> {
  try {
    await using source = await images.source(familiarName(reference), options);
    await using target = await registries.target(reference, auth);
    // Asking for the layers makes them, and sends them meanwhile.
    source.streamTo?.(target);
    onLayers?.(await layersOf(source, signal));
    const manifest = await copyImage({
      source,
      target,
      tag: reference.tag,
      jobs: registries.uploads ?? usualUploads,
      onProgress,
      signal,
    });
    images.noteDigest(reference, manifest.digest);
    return manifest;
  } catch (error) {
    throw pushError(error, reference);
  }
}

/** Of the image that the store's source has: an index there has one. */
async function layersOf(source: ImageSource, signal: AbortSignal | undefined): Promise<readonly Digest[]> {
  let raw = await source.manifest(undefined, signal);
  for (;;) {
    const manifest = parseManifest(raw.bytes, raw.mediaType);
    if (manifest.kind === "image") return manifest.layers.map(({ digest }) => digest);
    const [child] = manifest.manifests;
    if (child === undefined) return [];
    raw = await source.manifest(child.digest, signal);
  }
}

/** What the registry's refusal means to whoever pulls; see docker's distribution/errors.go for the sentences. */
export function pullError(error: unknown, reference: Reference): unknown {
  if (!(error instanceof GantryError)) return error;
  const { registryCode, status } = error.fields;
  const name = familiarRepository(reference);
  const details = { cause: error, fields: error.fields };
  if (registryCode === "MANIFEST_UNKNOWN" || (status === 404 && registryCode !== "NAME_UNKNOWN"))
    return new GantryError(
      "not-found",
      `manifest for ${familiarName(reference)} not found: manifest unknown: manifest unknown`,
      {
        ...details,
        hint: `see which tags there are: gantry image tags ${name}`,
      },
    );
  if (registryCode === "NAME_UNKNOWN")
    return new GantryError("not-found", `repository ${name} not found: ${String(error.fields["said"])}`, {
      ...details,
      hint: `is the name right? Some registries say this of what needs a login: gantry login ${reference.domain}`,
    });
  if (registryCode === "DENIED" || (status === 401 && reference.domain === "docker.io"))
    return new GantryError(
      "not-found",
      `pull access denied for ${name}, repository does not exist or may require 'docker login': ${String(error.fields["said"])}`,
      { ...details, hint: `log in first: gantry login ${reference.domain}` },
    );
  return error;
}

/** The registry's words alone, as docker's users know them. */
function pushError(error: unknown, reference: Reference): unknown {
  if (!(error instanceof GantryError) || error.code !== "denied" || error.fields["said"] === undefined)
    return error;
  return new GantryError("denied", String(error.fields["said"]), {
    cause: error,
    fields: error.fields,
    hint: `log in with an account that may push to ${familiarRepository(reference)}: gantry login ${reference.domain}`,
  });
}
