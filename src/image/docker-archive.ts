/** The docker-archive format (`docker save`, v1.2) as a source and target of one image. */
import { GantryError } from "../lib/index.ts";
import type { ImageSource, ImageTarget } from "./endpoint.ts";

/**
 * A Docker schema 2 manifest is made for the image that the archive describes.
 * @param reference one of its RepoTags; without, the archive must hold one image
 * @throws {GantryError} "not-found", "corrupt"
 */
export async function openDockerArchive(file: string, reference?: string): Promise<ImageSource> {
  throw new GantryError("unsupported", `${file} ${reference}`);
}

/**
 * The tar appears under its name when the target is closed after its manifest, whole or not at all. Layers are decompressed.
 * @param reference what the image is to be named: its RepoTag
 */
export async function createDockerArchive(file: string, reference?: string): Promise<ImageTarget> {
  throw new GantryError("unsupported", `${file} ${reference}`);
}
