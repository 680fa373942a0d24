/** The build context that the words of `gantry build` name: a folder, a stream, or a Dockerfile alone. */
import { existsSync, lstatSync, readFileSync, realpathSync, statSync } from "node:fs";
import { CliError } from "../errors.ts";
import { parseIgnoreRules } from "./ignore-rules.ts";
import { type ExtraFile, packContext } from "./pack-context.ts";

export interface OpenContext {
  readonly open: () => ReadableStream<Uint8Array>;
  /** The Dockerfile's name in the context. */
  readonly dockerfile: string;
}

const outsideName = ".dockerfile.outside";

/**
 * @param where a folder or `-`
 * @param file the value of -f: a path, `-`, or empty
 */
export async function openContext(where: string, file: string): Promise<OpenContext> {
  if (/^(https?|git|ssh):\/\/|^git@|^github\.com\//.test(where)) {
    throw new CliError(`this gantry does not build from URLs: ${where}`, {
      hint: "fetch it first, then name the folder",
    });
  }
  if (where === "-") {
    if (file === "-")
      throw new CliError("invalid argument: can't use stdin for both build context and dockerfile");
    return openStream(file);
  }
  return openFolder(where, file);
}

async function openFolder(where: string, file: string): Promise<OpenContext> {
  const stat = lstatSync(where, { throwIfNoEntry: false });
  if (stat === undefined)
    throw new CliError(`unable to prepare context: path ${JSON.stringify(where)} not found`);
  const folder = realpathSync(where);
  if (!lstatSync(folder).isDirectory())
    throw new CliError(`unable to prepare context: context must be a directory: ${where}`);
  const { name, extra } = await findDockerfile(folder, file);
  const own = `${folder}/${name}.dockerignore`;
  const ignorePath = existsSync(own) ? own : `${folder}/.dockerignore`;
  const rules = existsSync(ignorePath) ? readFileSync(ignorePath, "utf8") : "";
  const ignore = parseIgnoreRules(rules, extra.length === 0 ? [name, ".dockerignore"] : [".dockerignore"]);
  return { dockerfile: name, open: () => packContext({ folder, ignore, extra }) };
}

async function findDockerfile(
  folder: string,
  file: string,
): Promise<{ readonly name: string; readonly extra: readonly ExtraFile[] }> {
  if (file === "-")
    return { name: outsideName, extra: [{ name: outsideName, text: await Bun.stdin.bytes() }] };
  const path = file === "" ? `${folder}/Dockerfile` : file;
  // A path given by -f is meant from here; docker also takes one that only exists within the context.
  const found = existsSync(path) || file === "" ? path : `${folder}/${file}`;
  if (!existsSync(found)) {
    throw new CliError(
      `unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat ${path}: no such file or directory`,
      {
        hint: "name the Dockerfile with -f, or the folder that holds it",
      },
    );
  }
  if (statSync(found).isDirectory()) {
    throw new CliError(`unable to prepare context: the Dockerfile is a directory: ${found}`, {
      hint: "name the Dockerfile with -f",
    });
  }
  const real = realpathSync(found);
  if (!real.startsWith(`${folder}/`))
    return { name: outsideName, extra: [{ name: outsideName, text: readFileSync(real) }] };
  return { name: real.slice(folder.length + 1), extra: [] };
}

/** Archives begin with the magic bytes of tar, gzip, bzip2, xz or zstd; anything else is a Dockerfile. */
function isArchive(head: Uint8Array): boolean {
  const begins = (...bytes: number[]): boolean => bytes.every((byte, i) => head[i] === byte);
  const tar = Buffer.from(head.subarray(257, 262)).toString("latin1") === "ustar";
  return (
    tar ||
    begins(0x1f, 0x8b) ||
    begins(0x42, 0x5a, 0x68) ||
    begins(0xfd, 0x37, 0x7a, 0x58, 0x5a) ||
    begins(0x28, 0xb5, 0x2f, 0xfd)
  );
}

async function openStream(file: string): Promise<OpenContext> {
  const reader = Bun.stdin.stream().getReader();
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  let ended = false;
  while (bytes < 512 && !ended) {
    const { done, value } = await reader.read();
    ended = done;
    if (value === undefined) continue;
    pieces.push(value);
    bytes += value.length;
  }
  if (bytes === 0) throw new CliError("unable to prepare context: nothing came on stdin");
  if (isArchive(Buffer.concat(pieces)))
    return { dockerfile: file === "" ? "Dockerfile" : file, open: () => joined(pieces, reader) };
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) pieces.push(piece.value);
  if (file !== "")
    throw new CliError("ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles");
  const folderless = {
    folder: "",
    ignore: parseIgnoreRules("", []),
    extra: [{ name: "Dockerfile", text: Buffer.concat(pieces) }],
  };
  return { dockerfile: "Dockerfile", open: () => packContext(folderless) };
}

/** The part of a stream's reader that is needed here. */
interface PieceReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(reason?: unknown): Promise<void>;
}

function joined(first: Uint8Array[], reader: PieceReader): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const held = first.shift();
      if (held !== undefined) return controller.enqueue(held);
      const { done, value } = await reader.read();
      if (value !== undefined) controller.enqueue(value);
      if (done) controller.close();
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
