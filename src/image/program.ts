/** Running a program of the distribution, line by line, for bootstrapping base images. */
import { GantryError, toGantryError } from "../lib/index.ts";
import { throwIfAborted } from "./child.ts";

export interface ProgramOptions {
  /** Takes each line of its messages. */
  readonly onLine: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  readonly env?: Readonly<Record<string, string>>;
}

const maxLineLength = 4096;
/** What is repeated in an error. */
const lastLines = 5;

/** Yields the program's stdout; stderr goes to onLine. @throws {GantryError} when it fails, with its last lines */
export async function* streamProgram(
  command: readonly string[],
  options: ProgramOptions,
): AsyncGenerator<Uint8Array, void, void> {
  throwIfAborted(options.signal);
  const child = spawn(command, options);
  const stop = (): void => child.kill("SIGTERM");
  options.signal?.addEventListener("abort", stop, { once: true });
  const last: string[] = [];
  const messages = readLines(child.stderr, (line) => {
    last.push(line);
    if (last.length > lastLines) last.shift();
    options.onLine(line);
  });
  let ended = false;
  try {
    yield* child.stdout;
    const code = await child.exited;
    await messages;
    ended = true;
    throwIfAborted(options.signal);
    if (code !== 0)
      throw new GantryError("unavailable", `${command[0]} failed with exit code ${code}: ${last.join("; ")}`);
  } finally {
    options.signal?.removeEventListener("abort", stop);
    // Programs that mount and unmount clean up on SIGTERM.
    if (!ended) stop();
    await child.exited;
  }
}

/** Runs a program to its end; its stdout goes to onLine, too. */
export async function runProgram(command: readonly string[], options: ProgramOptions): Promise<void> {
  await readLines(streamProgram(command, options), options.onLine);
}

function spawn(
  command: readonly string[],
  { env }: ProgramOptions,
): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  try {
    return Bun.spawn([...command], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, LC_ALL: "C.UTF-8", ...env },
    });
  } catch (error) {
    throw toGantryError(error, `run ${command[0]}`);
  }
}

async function readLines(stream: AsyncIterable<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/[\r\n]+/);
    rest = (lines.pop() ?? "").slice(-maxLineLength);
    for (const line of lines) if (line !== "") onLine(line.slice(0, maxLineLength));
  }
  if (rest !== "") onLine(rest);
}

/** Makes sure that a program is there; installs its package where that is possible. @throws {GantryError} with the remedy */
export async function needProgram(
  name: string,
  packageName: string,
  options: ProgramOptions,
): Promise<string> {
  const found = Bun.which(name);
  if (found !== null) return found;
  await installPackage(packageName, options);
  const installed = Bun.which(name);
  if (installed !== null) return installed;
  throw new GantryError("unavailable", `the package ${packageName} does not bring the program ${name}`);
}

/** @throws {GantryError} "unsupported" without apt or root, naming the remedy */
export async function installPackage(name: string, options: ProgramOptions): Promise<void> {
  const apt = Bun.which("apt-get");
  if (apt === null || process.getuid?.() !== 0) {
    throw new GantryError("unsupported", `the program package ${name} is not installed`, {
      hint: `install it first: apt-get install ${name}`,
    });
  }
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const install = [apt, "install", "-y", "--no-install-recommends", name];
  options.onLine(`installing the package ${name}`);
  try {
    await runProgram(install, { ...options, env });
  } catch (error) {
    if (!(error instanceof GantryError) || error.code !== "unavailable") throw error;
    // Most likely the package lists are old or absent.
    await runProgram([apt, "update"], { ...options, env });
    await runProgram(install, { ...options, env });
  }
}
