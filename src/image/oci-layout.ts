/** OCI image layouts (image-spec image-layout.md), as directory and as tar, for reading and writing. */
import { GantryError } from "../lib/index.ts";
import type { ImageSource, ImageTarget } from "./endpoint.ts";

/**
 * @param path the directory
 * @param tag `org.opencontainers.image.ref.name` of the image, or its digest; without, the layout must hold one image
 * @throws {GantryError} "not-found", "corrupt"
 */
export async function openLayout(path: string, tag?: string): Promise<ImageSource> {
  throw new GantryError("unsupported", `${path} ${tag}`);
}

/** Writes into a layout; the directory is made when missing. What is there stays. */
export async function createLayout(path: string): Promise<ImageTarget> {
  throw new GantryError("unsupported", path);
}

/** As openLayout, of a tar (plain, gzip or zstd) of a layout. */
export async function openLayoutArchive(file: string, tag?: string): Promise<ImageSource> {
  throw new GantryError("unsupported", `${file} ${tag}`);
}

/** The tar appears under its name when the target is closed after its last manifest, whole or not at all. */
export async function createLayoutArchive(file: string): Promise<ImageTarget> {
  throw new GantryError("unsupported", file);
}
