/** Names in addresses: repositories, tags and ids of uploads (distribution-spec, "Pulling manifests"). Nothing else becomes part of a path. */
import { RegistryError } from "./errors.ts";

const repositoryPattern =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const uploadPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Clients limit host and name together to 255; longer ones could never be pulled. */
const maxNameLength = 255;

export function isRepositoryName(text: string): boolean {
  return text.length <= maxNameLength && repositoryPattern.test(text);
}

export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

export function isUploadId(text: string): boolean {
  return uploadPattern.test(text);
}

/** @throws {RegistryError} "NAME_INVALID" */
export function checkRepositoryName(text: string): string {
  if (isRepositoryName(text)) return text;
  throw new RegistryError("NAME_INVALID", `invalid repository name ${JSON.stringify(text.slice(0, 300))}`);
}
