/** The `changes` of POST /images/create?fromSrc: Dockerfile lines that set the new image's defaults. Pure. */
import type { ContainerDefaults } from "../../image/index.ts";
import { GantryError } from "../../lib/index.ts";

type Draft = { -readonly [K in keyof ContainerDefaults]: ContainerDefaults[K] };

/** @throws {GantryError} "invalid" for a line that is no instruction, "unsupported" for one that cannot be used here */
export function parseChanges(lines: readonly string[]): ContainerDefaults {
  const draft: Draft = {};
  for (const line of lines) {
    const match = /^\s*([a-zA-Z]+)\s+(\S.*?)\s*$/s.exec(line);
    if (match === null)
      throw new GantryError(
        "invalid",
        `invalid change: ${JSON.stringify(line.slice(0, 200))} is no Dockerfile instruction`,
      );
    const [, word = "", rest = ""] = match;
    const apply = instructions[word.toUpperCase()];
    if (apply === undefined) {
      throw new GantryError("invalid", `${word.toLowerCase()} is not a valid change command`, {
        hint: `one of: ${Object.keys(instructions).join(" ")}`,
      });
    }
    apply(draft, rest);
  }
  return draft;
}

const instructions: Readonly<Record<string, (draft: Draft, rest: string) => void>> = {
  CMD: (draft, rest) => void (draft.Cmd = command(rest)),
  ENTRYPOINT: (draft, rest) => void (draft.Entrypoint = command(rest)),
  ENV: (draft, rest) =>
    void (draft.Env = [...(draft.Env ?? []), ...pairs(rest).map(([key, value]) => `${key}=${value}`)]),
  EXPOSE: (draft, rest) => void (draft.ExposedPorts = { ...draft.ExposedPorts, ...ports(rest) }),
  LABEL: (draft, rest) => void (draft.Labels = { ...draft.Labels, ...Object.fromEntries(pairs(rest)) }),
  STOPSIGNAL: (draft, rest) => void (draft.StopSignal = rest),
  USER: (draft, rest) => void (draft.User = rest),
  VOLUME: (draft, rest) =>
    void (draft.Volumes = { ...draft.Volumes, ...Object.fromEntries(words(rest).map((path) => [path, {}])) }),
  WORKDIR: (draft, rest) => void (draft.WorkingDir = rest),
};

/** The JSON form, else a line for the shell. */
function command(rest: string): readonly string[] {
  return jsonWords(rest) ?? ["/bin/sh", "-c", rest];
}

function words(rest: string): readonly string[] {
  return jsonWords(rest) ?? rest.split(/\s+/);
}

function jsonWords(rest: string): readonly string[] | undefined {
  if (!rest.startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(rest);
    if (Array.isArray(value) && value.every((word): word is string => typeof word === "string")) return value;
  } catch (error) {
    // SyntaxError: not JSON, so a line for the shell.
    if (!(error instanceof SyntaxError)) throw error;
  }
  return undefined;
}

function ports(rest: string): Readonly<Record<string, object>> {
  return Object.fromEntries(
    rest.split(/\s+/).map((port) => {
      const match = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(port);
      if (match === null || Number(match[1]) > 65535)
        throw new GantryError("invalid", `invalid port in a change: ${JSON.stringify(port)}`);
      return [`${match[1] ?? ""}/${match[2] ?? "tcp"}`, {}];
    }),
  );
}

/** `KEY=value KEY2="a b"`, or the old `KEY value to the end`. */
function pairs(rest: string): readonly (readonly [string, string])[] {
  const old = /^([^\s=]+)\s+(.*)$/s.exec(rest);
  if (old !== null) return [[old[1] ?? "", old[2] ?? ""]];
  return [...rest.matchAll(/([^\s=]+)=("(?:[^"\\]|\\.)*"|'[^']*'|(?:\\.|[^\s\\])*)/gs)].map(
    ([, key = "", value = ""]) => [key, unquote(value)],
  );
}

function unquote(value: string): string {
  if (value.startsWith("'")) return value.slice(1, -1);
  return (value.startsWith('"') ? value.slice(1, -1) : value).replace(/\\(.)/gs, "$1");
}
