/**
 * `docker rmi`: which names go and which images are deleted, by dockerd's rules (daemon/images/image_delete.go) and in its
 * words. Pure: decides on what it is told, changes nothing.
 */
import { type Digest, digestHex, GantryError } from "../lib/index.ts";
import {
  canonicalName,
  familiarName,
  familiarRepository,
  parseReference,
  withDefaultTag,
} from "./reference.ts";
import type { RemovedItem, UsedBy } from "./types.ts";

export interface RemovalView {
  /** Canonical names of an image. */
  namesOf(id: Digest): readonly string[];
  childrenOf(id: Digest): readonly Digest[];
  parentOf(id: Digest): Digest | undefined;
  readonly usedBy: UsedBy;
}

export interface RemovalRequest {
  readonly id: Digest;
  /** What the user typed: a name, an id, or the beginning of one. */
  readonly reference: string;
  readonly force: boolean;
  /** Keep untagged parents. */
  readonly noPrune: boolean;
}

export interface RemovalPlan {
  /** Canonical names to take away. */
  readonly names: readonly string[];
  /** Images to delete, in order. */
  readonly images: readonly Digest[];
  readonly items: readonly RemovedItem[];
}

interface Progress {
  readonly names: string[];
  readonly images: Digest[];
  readonly items: RemovedItem[];
}

interface Conflict {
  readonly message: string;
  readonly hard: boolean;
  /** A container uses the image. */
  readonly used: boolean;
}

const short = (id: Digest): string => digestHex(id).slice(0, 12);

export function isIdPrefix(id: Digest, text: string): boolean {
  return id.startsWith(text) || digestHex(id).startsWith(text);
}

/** True when all names are of one repository, with one tag at most. */
function isSingleReference(names: readonly string[]): boolean {
  if (names.length <= 1) return true;
  const references = names.map(parseReference);
  const repositories = new Set(references.map(familiarRepository));
  return (
    repositories.size === 1 && references.filter((reference) => reference.digest === undefined).length <= 1
  );
}

/** @throws {GantryError} "conflict" */
export function planRemoval(view: RemovalView, request: RemovalRequest): RemovalPlan {
  const { id, reference, force, noPrune } = request;
  const done: Progress = { names: [], images: [], items: [] };
  const names = view.namesOf(id);
  if (isIdPrefix(id, reference)) {
    if (isSingleReference(names)) {
      const conflict = findConflict(view, id, { soft: !force, names: [], gone: [] });
      if (conflict !== undefined) throw conflictError(id, conflict);
      untag(done, names);
    }
    deleteImage(view, done, { id, force, prune: !noPrune, quiet: false });
    return done;
  }
  const name = canonicalName(withDefaultTag(parseReference(reference)));
  if (!force && isSingleReference(names)) refuseUsedReference(view, id, reference);
  untag(done, [name, ...orphanedDigests(names, name)]);
  if (remaining(view, done, id).length === 0)
    deleteImage(view, done, { id, force, prune: !noPrune, quiet: true });
  return done;
}

function refuseUsedReference(view: RemovalView, id: Digest, reference: string): void {
  const user = view.usedBy(id);
  if (user === undefined) return;
  const container = user.container.slice(0, 12);
  throw new GantryError(
    "conflict",
    `conflict: unable to remove repository reference ${JSON.stringify(reference)} (must force) - container ${container} is using its referenced image ${short(id)}`,
    { hint: `remove the container first: gantry rm ${container}`, fields: { container: user.container } },
  );
}

/** Names by digest go with the last tag of their repository. */
function orphanedDigests(names: readonly string[], removed: string): readonly string[] {
  const repository = familiarRepository(parseReference(removed));
  const same = names.filter(
    (name) => name !== removed && familiarRepository(parseReference(name)) === repository,
  );
  return same.every((name) => name.includes("@")) ? same : [];
}

function untag(done: Progress, names: readonly string[]): void {
  for (const name of names) {
    done.names.push(name);
    done.items.push({ untagged: familiarName(parseReference(name)) });
  }
}

function remaining(view: RemovalView, done: Progress, id: Digest): readonly string[] {
  return view.namesOf(id).filter((name) => !done.names.includes(name));
}

interface Deletion {
  readonly id: Digest;
  readonly force: boolean;
  readonly prune: boolean;
  /** A name was taken away already: that is success enough when the image itself must stay. */
  readonly quiet: boolean;
}

function deleteImage(view: RemovalView, done: Progress, { id, force, prune, quiet }: Deletion): void {
  const names = remaining(view, done, id);
  const conflict = findConflict(view, id, { soft: !force, names, gone: done.images });
  if (conflict !== undefined) {
    // A dangling image is deleted or it is said why not, but for one that a container or an image needs.
    if (quiet && (names.length > 0 || conflict.hard || conflict.used)) return;
    throw conflictError(id, conflict);
  }
  untag(done, names);
  done.images.push(id);
  done.items.push({ deleted: id });
  const parent = view.parentOf(id);
  if (prune && parent !== undefined) deleteUntaggedParent(view, done, parent);
}

/** Parents that only the builder's cache knew go with their last child. */
function deleteUntaggedParent(view: RemovalView, done: Progress, id: Digest): void {
  if (remaining(view, done, id).length > 0) return;
  deleteImage(view, done, { id, force: false, prune: true, quiet: true });
}

interface ConflictQuery {
  /** Look for what force would override, too. */
  readonly soft: boolean;
  readonly names: readonly string[];
  /** Images that are to be deleted already. */
  readonly gone: readonly Digest[];
}

function findConflict(
  view: RemovalView,
  id: Digest,
  { soft, names, gone }: ConflictQuery,
): Conflict | undefined {
  const children = view.childrenOf(id).filter((child) => !gone.includes(child));
  if (children.length > 0) return { message: "image has dependent child images", hard: true, used: false };
  const user = view.usedBy(id);
  const container = user?.container.slice(0, 12);
  if (user?.running === true)
    return { message: `image is being used by running container ${container}`, hard: true, used: true };
  if (!soft) return undefined;
  if (names.length > 0)
    return { message: "image is referenced in multiple repositories", hard: false, used: false };
  if (user !== undefined)
    return { message: `image is being used by stopped container ${container}`, hard: false, used: true };
  return undefined;
}

function conflictError(id: Digest, { message, hard }: Conflict): GantryError {
  const force = hard ? "cannot be forced" : "must be forced";
  return new GantryError("conflict", `conflict: unable to delete ${short(id)} (${force}) - ${message}`, {
    fields: { image: id },
  });
}
