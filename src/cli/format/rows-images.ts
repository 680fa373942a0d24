/** Images of GET /images/json as rows of `images` and `system df -v`. Pure. */
import { Row } from "../template/value.ts";
import { goTime, humanDuration, humanSize, shortId } from "./human.ts";

/** What the listings use of an entry of GET /images/json. */
export interface ImageSummary {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly RepoDigests: readonly string[] | null;
  readonly Created: number;
  readonly Size: number;
  readonly SharedSize?: number;
  readonly Containers?: number;
}

export const imageHeaders: Readonly<Record<string, unknown>> = {
  ID: "IMAGE ID",
  Repository: "REPOSITORY",
  Tag: "TAG",
  Digest: "DIGEST",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  Size: "SIZE",
  Containers: "CONTAINERS",
  VirtualSize: "SIZE",
  SharedSize: "SHARED SIZE",
  UniqueSize: "UNIQUE SIZE",
};

interface ImageName {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

export interface RowOptions {
  readonly truncate: boolean;
  /** One row for each digest too. */
  readonly digests: boolean;
  readonly nowMs: number;
}

/** One row for each name of an image; one with `<none>` when it has no name. */
export function imageRows(image: ImageSummary, options: RowOptions): Row[] {
  return namesOf(image, options.digests).map((name) => rowOf(image, name, options));
}

const none = "<none>";

function namesOf(image: ImageSummary, wantDigests: boolean): ImageName[] {
  const tags = (image.RepoTags ?? []).filter((name) => name !== "<none>:<none>").map(splitTag);
  const digests = (image.RepoDigests ?? []).filter((name) => name !== "<none>@<none>").map(splitDigest);
  if (tags.length === 0 && digests.length === 0) return [{ repository: none, tag: none, digest: none }];
  if (tags.length === 0)
    return digests.map(({ repository, digest }) => ({
      repository,
      tag: none,
      digest: wantDigests ? digest : none,
    }));
  if (!wantDigests) return tags.map(({ repository, tag }) => ({ repository, tag, digest: none }));
  return tags.flatMap(({ repository, tag }) => {
    const own = digests.filter((digest) => digest.repository === repository);
    return own.length === 0
      ? [{ repository, tag, digest: none }]
      : own.map(({ digest }) => ({ repository, tag, digest }));
  });
}

function splitTag(name: string): { readonly repository: string; readonly tag: string } {
  const at = name.lastIndexOf(":");
  return { repository: name.slice(0, at), tag: name.slice(at + 1) };
}

function splitDigest(name: string): { readonly repository: string; readonly digest: string } {
  const at = name.indexOf("@");
  return { repository: name.slice(0, at), digest: name.slice(at + 1) };
}

const sizeOrNone = (bytes: number): string => (bytes === -1 ? "N/A" : humanSize(bytes));

function rowOf(image: ImageSummary, name: ImageName, { truncate, nowMs }: RowOptions): Row {
  const shared = image.SharedSize ?? -1;
  const containers = image.Containers ?? -1;
  return new Row("*formatter.imageContext", {
    ID: truncate ? shortId(image.Id) : image.Id,
    Repository: name.repository,
    Tag: name.tag,
    Digest: name.digest,
    CreatedSince: `${humanDuration(nowMs - image.Created * 1000)} ago`,
    CreatedAt: goTime(image.Created * 1000),
    Size: humanSize(image.Size, 3),
    Containers: containers === -1 ? "N/A" : String(containers),
    VirtualSize: humanSize(image.Size),
    SharedSize: sizeOrNone(shared),
    UniqueSize: shared === -1 ? "N/A" : humanSize(image.Size - shared),
  });
}
