/** `--ulimit name=soft[:hard]`. Pure. */
import { FlagError } from "../errors.ts";

export interface Ulimit {
  readonly Name: string;
  readonly Hard: number;
  readonly Soft: number;
}

const names = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(
    " ",
  ),
);

/** @throws {FlagError} with docker's words */
export function parseUlimit(text: string): Ulimit {
  const at = text.indexOf("=");
  if (at < 0) throw new FlagError(`invalid ulimit argument: ${text}`);
  const name = text.slice(0, at);
  const values = text.slice(at + 1).split(":");
  if (!names.has(name)) throw new FlagError(`invalid ulimit type: ${name}`);
  if (values.length > 2)
    throw new FlagError(
      `too many limit values - ${text.slice(at + 1)}, can only have up to two values, \`soft[:hard]\``,
    );
  const [soft = 0, hard = soft] = values.map(readLimit);
  if (hard !== -1 && (soft === -1 || soft > hard)) {
    throw new FlagError(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  }
  return { Name: name, Hard: hard, Soft: soft };
}

function readLimit(text: string): number {
  if (!/^[+-]?\d+$/.test(text))
    throw new FlagError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

/** Checks the text of the flag and keeps it. */
export function readUlimit(text: string): string {
  parseUlimit(text);
  return text;
}

/** The limits of all flags, by name; the last of a name counts. */
export function parseUlimits(texts: readonly string[]): readonly Ulimit[] {
  const byName = new Map(texts.map((text) => parseUlimit(text)).map((limit) => [limit.Name, limit]));
  return [...byName.values()].toSorted((a, b) => (a.Name < b.Name ? -1 : 1));
}
