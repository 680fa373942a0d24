/** Finds, checks and runs CRIU. */
import { GantryError, toGantryError } from "../../lib/index.ts";
import { envOf } from "./context.ts";
import { tryReadText } from "./host-cgroups.ts";
import { warn } from "./log.ts";
import { SIGKILL } from "./signals.ts";

const checkDeadlineMs = 30_000;
/** Copying memory, also over the network, takes its time; with lazy pages it takes as long as the other side likes. */
const workDeadlineMs = 6 * 3600_000;
const maxOutput = 256 << 10;
/** 3.11: namespaces from outside. */
const oldestVersion = 31_100;

/**
 * The path of a CRIU that can work on this machine.
 * @throws {GantryError} "unsupported" when there is none, it is too old, or the kernel lacks what it needs; nothing was changed
 */
export function usableCriu(name: string, features: readonly CriuFeature[] = []): string {
  const criu = findProgram(name);
  if (criu === undefined)
    throw new GantryError(
      "unsupported",
      `checkpoint and restore need the program ${name}, which is not installed`,
      {
        hint: "install CRIU (package criu), or name it with: gantry-oci --criu /path/to/criu",
      },
    );
  const version = run(criu, ["--version"]);
  const number = versionNumber(version.stdout);
  if (number < oldestVersion)
    throw new GantryError(
      "unsupported",
      `CRIU version ${number} must be ${oldestVersion} or higher: ${criu}`,
      {
        hint: "install a newer CRIU",
      },
    );
  const check = run(criu, ["check"]);
  if (check.status !== 0)
    throw new GantryError(
      "unsupported",
      `CRIU does not work on this machine: ${criuErrors(check.stdout + check.stderr)}`,
      {
        hint: `see what is missing with: ${criu} check --all; a newer CRIU or a kernel with CONFIG_CHECKPOINT_RESTORE may have it`,
      },
    );
  for (const { feature, needs, flag } of features)
    if (run(criu, ["check", "--feature", feature]).status !== 0)
      throw new GantryError("unsupported", `CRIU cannot do ${flag} on this machine: ${feature} is missing`, {
        hint: `it needs a kernel with ${needs}; leave ${flag} out`,
      });
  return criu;
}

/** What CRIU needs of the kernel for a flag of ours, in its own word. */
export interface CriuFeature {
  readonly feature: string;
  readonly needs: string;
  readonly flag: string;
}

/** @param set the flags that are given */
export function neededFeatures(set: ReadonlySet<string>, hasParent: boolean): readonly CriuFeature[] {
  const tracking = { feature: "mem_dirty_track", needs: "CONFIG_MEM_SOFT_DIRTY" };
  return [
    ...(set.has("pre-dump") ? [{ ...tracking, flag: "--pre-dump" }] : []),
    ...(hasParent ? [{ ...tracking, flag: "--parent-path" }] : []),
    ...(set.has("lazy-pages")
      ? [{ feature: "uffd-noncoop", needs: "CONFIG_USERFAULTFD", flag: "--lazy-pages" }]
      : []),
  ];
}

function run(criu: string, args: readonly string[]) {
  try {
    return host.run([criu, ...args], { timeoutMs: checkDeadlineMs, maxOutput });
  } catch (error) {
    throw toGantryError(error, `run ${criu} ${args.join(" ")}`);
  }
}

function findProgram(name: string): string | undefined {
  if (name.includes("/")) return host.access(name, 1) ? name : undefined;
  const dirs = (envOf("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin").split(":");
  return dirs.map((dir) => `${dir === "" ? "." : dir}/${name}`).find((path) => host.access(path, 1));
}

/** `Version: 3.17.1` as 31701. Pure. */
export function versionNumber(text: string): number {
  const [, major = "0", minor = "0", patch = "0"] =
    /Version: ([0-9]+)\.([0-9]+)(?:\.([0-9]+))?/.exec(text) ?? [];
  return Number(major) * 10_000 + Number(minor) * 100 + Number(patch);
}

/** The error lines of CRIU's output, without their source positions. Pure. */
export function criuErrors(text: string): string {
  const lines = text
    .split("\n")
    .filter((line) => line.includes("Error"))
    .map((line) => line.replace(/^.*?Error \([^)]*\): */, "").trim());
  return lines.length === 0 ? "criu check failed" : lines.slice(-4).join("; ");
}

/**
 * Runs CRIU to its end with our stdio.
 * @param fds further fds of ours; its numbers start at 3
 * @throws {GantryError} "internal" with the errors of its log, when it fails
 */
export function runCriu(
  program: string,
  args: readonly string[],
  { fds, logFile }: { readonly fds: readonly number[]; readonly logFile: string },
): void {
  let pid: number;
  try {
    pid = host.spawn({ file: program, argv: [program, ...args], fds: [0, 1, 2, ...fds] });
  } catch (error) {
    throw toGantryError(error, `run ${program}`);
  }
  const code = host.waitPid(pid, workDeadlineMs);
  if (code === 0) return;
  if (code === undefined) {
    host.kill(pid, SIGKILL);
    host.waitPid(pid, 1000);
    throw new GantryError(
      "timeout",
      `criu has not ended within ${workDeadlineMs / 3600_000} hours; it was killed`,
    );
  }
  const log = tryReadText(logFile);
  if (log !== undefined) for (const line of quoteErrors(log)) warn(line);
  throw new GantryError("internal", `criu failed: exit status ${code}\nlog file: ${logFile}`, {
    hint: log === undefined ? "it has written no log" : "its last errors are above and in the log file",
  });
}

const context = 5;
const mostLines = 60;

/** The error lines of a log with the lines before them, numbered. Pure. */
export function quoteErrors(log: string): readonly string[] {
  const lines = log.split("\n");
  const wanted = new Set<number>();
  for (const [index, line] of lines.entries())
    if (line.includes("Error")) for (let at = Math.max(0, index - context); at <= index; at++) wanted.add(at);
  return [...wanted].slice(-mostLines).map((index) => `${index + 1}:${lines[index] ?? ""}`);
}
