/** Ranges of bytes in headers: RFC 9110 section 14 for downloads, distribution-spec "Pushing a blob in chunks" for uploads. */
import type { ByteRange } from "./blob-store.ts";
import { RegistryError } from "./errors.ts";

/**
 * What a `Range` header asks of so many bytes; undefined: all of them. Several ranges, other units and what cannot be read
 * are answered with all, as the RFC allows.
 * @throws {RegistryError} 416 when none of it is there
 */
export function parseRange(header: string | null, size: number): ByteRange | undefined {
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (match === null || (first === "" && last === "")) return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    if (length === 0) throw unsatisfiable(size);
    return { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (start > end) throw unsatisfiable(size);
  return { start, end };
}

/**
 * `Content-Range` of a chunk: `0-1023`, also as HTTP would have it (`bytes 0-1023/*`).
 * @throws {RegistryError} "BLOB_UPLOAD_INVALID", or 416 when it says another length than the body has
 */
export function parseContentRange(
  header: string | null,
  bodyBytes: number | undefined,
): ByteRange | undefined {
  if (header === null) return undefined;
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header.trim());
  if (match === null)
    throw new RegistryError(
      "BLOB_UPLOAD_INVALID",
      `invalid Content-Range ${JSON.stringify(header.slice(0, 80))}`,
      {
        detail: "it is to read FIRST-LAST, both inclusive",
      },
    );
  const range = { start: Number(match[1]), end: Number(match[2]) };
  const length = range.end - range.start + 1;
  if (length < 1 || (bodyBytes !== undefined && bodyBytes !== length))
    throw new RegistryError(
      "SIZE_INVALID",
      `Content-Range ${header} is not the ${bodyBytes ?? 0} bytes of the body`,
      {
        status: 416,
      },
    );
  return range;
}

function unsatisfiable(size: number): RegistryError {
  return new RegistryError("RANGE_INVALID", `the range lies beyond the ${size} bytes`, {
    headers: { "Content-Range": `bytes */${size}` },
  });
}
