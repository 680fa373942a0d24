/** Which images a listing shows: the filters of GET /images/json. Pure. */
import { Glob } from "bun";
import type { ImageRecord } from "../../image/index.ts";
import { type Filters, parseFilters } from "./filters.ts";
import { untilOf } from "./prune-filters.ts";

export const imageFilters = ["before", "dangling", "label", "label!", "reference", "since", "until"] as const;

export interface ImageLookups {
  /** By name, id or short id. @throws {GantryError} "not-found" */
  readonly find: (reference: string) => ImageRecord;
  readonly nowMs: number;
}

/**
 * @param all intermediate images of builds too
 * @returns newest first
 */
export function selectImages(
  images: readonly ImageRecord[],
  text: string | null,
  all: boolean,
  lookups: ImageLookups,
): readonly ImageRecord[] {
  const filters = parseFilters(text, imageFilters);
  const parents = new Set(images.map((image) => image.parent));
  const fits = predicateOf(filters, lookups);
  return images
    .filter((image) => (all || !isIntermediate(image, parents)) && fits(image))
    .map((image) => withMatchingNames(image, filters.values("reference")))
    .toSorted((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? -1 : 1));
}

/** Without a name, and others were built upon it. */
function isIntermediate(image: ImageRecord, parents: ReadonlySet<string | undefined>): boolean {
  return isDangling(image) && parents.has(image.id);
}

function isDangling(image: ImageRecord): boolean {
  return image.repoTags.length === 0 && image.repoDigests.length === 0;
}

function predicateOf(filters: Filters, { find, nowMs }: ImageLookups): (image: ImageRecord) => boolean {
  const dangling = filters.flag("dangling");
  const untilMs = untilOf(filters, nowMs);
  const before = timeOf(filters.one("before"), find);
  const since = timeOf(filters.one("since"), find);
  const patterns = filters.values("reference");
  return (image) =>
    (dangling === undefined || isDangling(image) === dangling) &&
    image.createdAtMs < untilMs &&
    (before === undefined || image.createdAtMs < before) &&
    (since === undefined || image.createdAtMs > since) &&
    filters.labels(image.config.config.Labels ?? {}) &&
    (patterns.length === 0 || namesOf(image).some((name) => fitsReference(patterns, name)));
}

function timeOf(reference: string | undefined, find: (reference: string) => ImageRecord): number | undefined {
  return reference === undefined ? undefined : find(reference).createdAtMs;
}

const namesOf = (image: ImageRecord): readonly string[] => [...image.repoTags, ...image.repoDigests];

/** A pattern with a tag fits the whole name, one without its repository. */
function fitsReference(patterns: readonly string[], name: string): boolean {
  const repository = name.replace(/@.*$/, "").replace(/:[^:/]*$/, "");
  return patterns.some((pattern) => {
    const glob = new Glob(pattern.slice(0, 512));
    return glob.match(name) || glob.match(repository) || pattern === name || pattern === repository;
  });
}

/** Of an image with several names, only those that fit are shown. */
function withMatchingNames(image: ImageRecord, patterns: readonly string[]): ImageRecord {
  if (patterns.length === 0) return image;
  const fitting = (names: readonly string[]): readonly string[] =>
    names.filter((name) => fitsReference(patterns, name));
  // Not a copy of all of it: reading `lowers` would mount the image's layers.
  return Object.create(image, {
    repoTags: { value: fitting(image.repoTags) },
    repoDigests: { value: fitting(image.repoDigests) },
  }) as ImageRecord;
}
