/** The build context: unpacked with bounds, thinned out by .dockerignore, the Dockerfile found. */
import { rm, rmdir } from "node:fs/promises";
import { decompress, type Trees } from "../image/index.ts";
import { GantryError, Interrupt, isErrno, messageOf } from "../lib/index.ts";
import { TreeView } from "./files/tree-view.ts";
import { Pauses } from "./pauses.ts";
import { canceled } from "./step-error.ts";
import { type IgnoreRules, parseIgnoreRules } from "./ignore-rules.ts";

export interface ContextOptions {
  readonly trees: Trees;
  /** An existing empty directory that nobody else uses. */
  readonly dir: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

export interface BuildContext {
  readonly view: TreeView;
  readonly dockerfile: string;
}

const maxDockerfile = 8 << 20;
const maxIgnoreFile = 4 << 20;

/** Ends a stream with an error as soon as `signal` aborts, also while it waits. */
async function* abortable(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  const interrupt = new Interrupt();
  const abort = (): void => interrupt.raise(canceled(signal));
  signal.addEventListener("abort", abort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await interrupt.wait(iterator.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    // Not awaited: a source that never answers must not hold the build.
    iterator.return?.()?.catch(() => undefined); // its own failure has no meaning any more
  }
}

async function unpackContext(source: AsyncIterable<Uint8Array>, options: ContextOptions): Promise<void> {
  const { trees, dir, maxBytes, signal } = options;
  try {
    const stream = decompress(abortable(source, signal), { maxBytes: maxBytes * 2 });
    await trees.unpack({ dir }, "/", stream, { maxBytes, signal, missingTrailer: true });
  } catch (error) {
    if (!(error instanceof GantryError) || error.code === "canceled") throw error;
    throw new GantryError(error.code, `the build context cannot be unpacked: ${error.message}`, {
      cause: error,
      fields: error.fields,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}

/**
 * Removes what the rules leave out. Folders are removed when nothing is left in them.
 * The listing comes from inside the folder and follows no links, and nobody else changes it: its paths are safe to use.
 */
async function removeIgnored(view: TreeView, rules: IgnoreRules, options: ContextOptions): Promise<void> {
  const { dir } = options;
  const pauses = new Pauses(options.signal);
  const folders: string[] = [];
  for (const { path, kind } of await view.below("/", true)) {
    await pauses.point();
    if (!rules.ignores(path)) continue;
    if (kind === "dir") folders.push(path);
    else await rm(`${dir}/${path}`, { force: true });
  }
  // Deepest first, so that a folder is empty when its turn comes.
  for (const folder of folders.toReversed()) {
    try {
      await rmdir(`${dir}/${folder}`);
    } catch (error) {
      if (!isErrno(error, "ENOTEMPTY")) throw error; // a rule with ! keeps something in it
    }
  }
}

function missingDockerfile(name: string): GantryError {
  return new GantryError("invalid", `Cannot locate specified Dockerfile: ${name}`, {
    hint: "name it with -f, or build the folder that holds it",
    fields: { path: name },
  });
}

async function readText(view: TreeView, path: string, maxBytes: number): Promise<string | undefined> {
  try {
    return await view.text(path, maxBytes);
  } catch (error) {
    throw new GantryError("invalid", `failed to read ${path.slice(1)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** `Dockerfile` may also be written `dockerfile` when it is not named. */
async function readDockerfile(
  view: TreeView,
  wanted: string,
): Promise<{ readonly name: string; readonly text: string }> {
  const clean = wanted.replaceAll("\\", "/").replace(/^(?:\.?\/)+/, "");
  if (clean.split("/").includes(".."))
    throw new GantryError(
      "invalid",
      `the Dockerfile (${wanted.slice(0, 200)}) must be within the build context`,
    );
  const names = wanted === "" ? ["Dockerfile", "dockerfile"] : [clean];
  for (const name of names) {
    const text = await readText(view, `/${name}`, maxDockerfile);
    if (text === undefined) continue;
    if (text.trim() === "")
      throw new GantryError("invalid", `the Dockerfile (${name}) cannot be empty`, {
        fields: { path: name },
      });
    return { name, text };
  }
  throw missingDockerfile(names[0] ?? "Dockerfile");
}

/**
 * Unpacks the context and reads the Dockerfile.
 * @param dockerfile its path in the context, "" for the usual name
 * @throws {GantryError} "corrupt" for a hostile or truncated tar, "exhausted" beyond the bounds, "invalid" without Dockerfile
 */
export async function openContext(
  source: AsyncIterable<Uint8Array>,
  dockerfile: string,
  options: ContextOptions,
): Promise<BuildContext> {
  await unpackContext(source, options);
  const view = new TreeView(options.trees, { dir: options.dir });
  const { name, text } = await readDockerfile(view, dockerfile);
  const ownName = `${name}.dockerignore`;
  const [own, common] = await Promise.all(
    [ownName, ".dockerignore"].map((file) => readText(view, `/${file}`, maxIgnoreFile)),
  );
  const ignore = own ?? common;
  if (ignore !== undefined) {
    const rules = parseIgnoreRules(ignore, own === undefined ? ".dockerignore" : ownName);
    if (!rules.isEmpty) await removeIgnored(view, rules, options);
  }
  return { view, dockerfile: text };
}
