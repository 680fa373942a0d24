/** What each kind of step does. */
import { rm, writeFile } from "node:fs/promises";
import { statfs } from "node:fs/promises";
import { GantryError, tarTrailer } from "../lib/index.ts";
import { commitStep, type Deed, type StageCache, writableRoot } from "./commit-step.ts";
import { sourcesDigest, writeSources } from "./files/copy-files.ts";
import { findSources } from "./files/find-sources.ts";
import { resolveOwner } from "./files/owner.ts";
import { TreeView } from "./files/tree-view.ts";
import { CommandOutput } from "./output.ts";
import { shellOf } from "./plan/scope.ts";
import type { CopyAction, PlannedStep, RunAction } from "./plan/step.ts";
import type { Session } from "./session.ts";
import { lowersOf, type StageImage } from "./stage-image.ts";
import { emptyDirectory, type LayerDirs } from "./work-area.ts";

/** Does one step on top of `parent` and returns the image after it. */
export async function doStep(
  session: Session,
  parent: StageImage,
  cache: StageCache,
  step: PlannedStep,
): Promise<StageImage> {
  const { action } = step;
  for (const note of step.notes) session.output.line(note);
  switch (action.do) {
    case "config": {
      const command = [...shellOf(step.config), "#(nop) ", action.comment];
      return commitStep(session, parent, cache, { step, command, inContainer: true });
    }
    case "workdir":
      return commitStep(session, parent, cache, workdirDeed(session, parent, step, action.path));
    case "run":
      return commitStep(session, parent, cache, runDeed(session, parent, step, action));
    case "copy":
      return commitStep(session, parent, cache, await copyDeed(session, parent, step, action));
  }
}

function workdirDeed(session: Session, parent: StageImage, step: PlannedStep, path: string): Deed {
  const fill = async (dirs: LayerDirs): Promise<boolean> => {
    const kind = await new TreeView(session.trees, { lowers: lowersOf(parent) }).kindOf(path);
    if (kind === "dir") return false;
    if (kind !== undefined)
      throw new GantryError("conflict", `Cannot mkdir: ${path} is not a directory`, { fields: { path } });
    const nothing = (async function* () {
      yield tarTrailer;
    })();
    await session.trees.unpack(writableRoot(parent, dirs), path, nothing, { signal: session.signal });
    return true;
  };
  return { step, command: [...shellOf(step.config), `#(nop) WORKDIR ${path}`], inContainer: true, fill };
}

function runDeed(session: Session, parent: StageImage, step: PlannedStep, action: RunAction): Deed {
  const wanted = session.request.network ?? "";
  const network = action.network === "default" ? (wanted === "" ? "default" : wanted) : action.network;
  return {
    step,
    command: action.command,
    extra: { network: action.network === "default" ? undefined : action.network },
    inContainer: true,
    fill: (dirs, id) => runCommand(session, parent, { action, dirs, id, network }),
  };
}

interface Command {
  readonly action: RunAction;
  readonly dirs: LayerDirs;
  readonly id: string;
  readonly network: string;
}

async function runCommand(
  session: Session,
  parent: StageImage,
  { action, dirs, id, network }: Command,
): Promise<boolean> {
  const output = new CommandOutput(session.output);
  const lowers = lowersOf(parent);
  const script = action.script === undefined ? undefined : `${dirs.upper}${action.script.path}`;
  if (script !== undefined)
    await writeFile(script, action.script?.content ?? "", { flag: "wx", mode: 0o755 });
  const { exitCode } = await session.runner.run({
    id,
    lowers: lowers.length === 0 ? [await emptyDirectory(session.root)] : lowers,
    upper: dirs.upper,
    work: dirs.work,
    args: action.args,
    env: action.env,
    workingDir: action.workingDir,
    user: action.user,
    network,
    extraHosts: session.request.extraHosts ?? [],
    limits: session.request.limits ?? {},
    onOutput: (stream, bytes) => output.write(stream, bytes),
    signal: session.signal,
  });
  output.end();
  session.signal.throwIfAborted();
  if (exitCode !== 0) throw await commandFailed(action, exitCode, dirs);
  // The command may have put anything in its place: only the name is removed, no link is followed.
  if (script !== undefined) await rm(script, { recursive: true, force: true });
  return true;
}

/** Less free space than this is why the command failed, most likely. */
const fullBytes = 1 << 20;

async function commandFailed(action: RunAction, exitCode: number, dirs: LayerDirs): Promise<GantryError> {
  const { bavail, bsize } = await statfs(dirs.dir);
  const isFull = bavail * bsize < fullBytes;
  const hint = isFull
    ? { hint: "no space left on device; free some, for example with: gantry system prune" }
    : {};
  const message = `The command '${action.args.join(" ")}' returned a non-zero code: ${exitCode}`;
  return new GantryError(
    isFull ? "exhausted" : "invalid",
    isFull ? `${message}: no space left on device` : message,
    {
      ...hint,
      fields: { exitCode },
    },
  );
}

async function copySource(session: Session, action: CopyAction): Promise<TreeView> {
  const { from } = action;
  if (from.kind === "context") return session.context.view;
  if (from.kind === "stage")
    return new TreeView(session.trees, {
      lowers: lowersOf(session.stages[from.index] ?? { record: undefined }),
    });
  const record = await session.findImage(from.reference);
  return new TreeView(session.trees, { lowers: record.lowers });
}

/** Absolute, with its trailing slash; `.` at the end means a directory as well. */
export function copyDestination(workingDir: string, destination: string): string {
  const path = destination.startsWith("/") ? destination : `${workingDir}/${destination}`;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const isDirectory = /(?:^|\/)\.{0,2}$/.test(destination);
  return `/${parts.join("/")}${isDirectory && parts.length > 0 ? "/" : ""}`;
}

async function copyDeed(
  session: Session,
  parent: StageImage,
  step: PlannedStep,
  action: CopyAction,
): Promise<Deed> {
  const { trees, signal, maxDownloadBytes } = session;
  const fromImage = action.from.kind !== "context";
  const sources = await named(action, async () =>
    findSources(action, {
      trees,
      from: await copySource(session, action),
      fromImage,
      downloadDir: () => session.area.download(),
      maxDownloadBytes,
      maxBytes: session.maxContextBytes,
      signal,
    }),
  );
  if (sources.some((source) => source.kind === "file" && source.mode !== undefined)) session.output.line("");
  const preserveOwner = fromImage && action.chown === undefined;
  const digest = await sourcesDigest(sources, { trees, preserveOwner, signal });
  const flags = action.chown === undefined ? "" : `--chown=${action.chown} `;
  const comment = `${action.instruction} ${flags}${digest} in ${action.destination} `;
  const fill = async (dirs: LayerDirs): Promise<boolean> => {
    const image = new TreeView(trees, { lowers: lowersOf(parent) });
    await named(action, async () =>
      writeSources(sources, {
        trees,
        image,
        target: writableRoot(parent, dirs),
        destination: copyDestination(action.workingDir, action.destination),
        owner: action.chown === undefined ? undefined : await resolveOwner(action.chown, image),
        chmod: action.chmod,
        preserveOwner,
        maxBytes: session.maxContextBytes,
        signal,
      }),
    );
    return true;
  };
  const extra = { chmod: action.chmod, workingDir: action.workingDir, archives: archivesIn(sources) };
  return { step, command: [...shellOf(step.config), `#(nop) ${comment}`], extra, inContainer: false, fill };
}

/** ADD unpacks what COPY does not. */
const archivesIn = (sources: readonly { readonly kind: string }[]): string =>
  sources.flatMap((source, i) => (source.kind === "archive" ? [i] : [])).join(",");

/** Errors of `work` begin as docker has them: `COPY failed: …`. */
async function named<T>(action: CopyAction, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof GantryError) || error.code === "canceled") throw error;
    throw new GantryError(error.code, `${action.instruction} failed: ${error.message}`, {
      cause: error,
      fields: error.fields,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}
