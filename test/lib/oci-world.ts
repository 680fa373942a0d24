/** What drop-in tests of `gantry-oci` share: the program under test, an image that every engine can load, and daemons of their own. */
import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { isErrno } from "../../src/lib/index.ts";
import { TestEngine } from "./engine.ts";

/** OCI_RUNTIME names another runtime, to see that a test holds for that as well. */
export const ociRuntime: string =
  process.env["OCI_RUNTIME"] ?? resolve(import.meta.dir, "../../dist/gantry-oci");

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command to its end, at most a minute. */
export async function runCommand(words: readonly string[], stdin?: string): Promise<Ran> {
  const child = Bun.spawn([...words], {
    stdin: stdin === undefined ? "ignore" : Buffer.from(stdin),
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"] ?? "", HOME: "/root" },
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

/** As `runCommand`, which must succeed. Returns what was printed. */
export async function mustRun(words: readonly string[], stdin?: string): Promise<string> {
  const { code, out, err } = await runCommand(words, stdin);
  if (code !== 0) throw new Error(`${words.join(" ")} exited with ${code}: ${err}${out}`);
  return out.trim();
}

export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await holds()); await Bun.sleep(20)) {
    if (Date.now() > deadline) throw new Error(`${what} did not happen`);
  }
}

/** Writes an archive of busybox:latest to `path`, which docker, podman and ctr can load. */
export async function makeImageArchive(path: string): Promise<void> {
  const engine = new TestEngine("archive");
  await engine.start();
  try {
    engine.ok("image", "bootstrap", "busybox");
    engine.ok("save", "-o", path, "busybox");
  } finally {
    await engine.uninstall();
  }
}

/** SIGTERM, and after 20 s SIGKILL. */
export async function endDaemon(child: Bun.Subprocess | undefined): Promise<void> {
  if (child === undefined) return;
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 20_000);
  await child.exited;
  clearTimeout(late);
}

/** Empty cgroups that peers leave behind when they end, with those in them. A helper of theirs may still be on its way out. */
export async function removeEmptyCgroups(...names: readonly string[]): Promise<void> {
  const tops = readdirSync("/sys/fs/cgroup").flatMap((hierarchy) =>
    names.map((name) => join("/sys/fs/cgroup", hierarchy, name)),
  );
  await until(() => tops.every(isRemoved), `the removal of the cgroups ${names.join(", ")}`);
}

function isRemoved(dir: string): boolean {
  if (!existsSync(dir)) return true;
  const children = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  if (!children.every(({ name }) => isRemoved(join(dir, name)))) return false;
  try {
    rmdirSync(dir);
    return true;
  } catch (error) {
    // A directory without a hierarchy, in which a peer has made ordinary files.
    if (isErrno(error, "ENOTEMPTY") && !existsSync(join(dir, "cgroup.procs"))) {
      rmSync(dir, { recursive: true });
      return true;
    }
    if (isErrno(error, "EBUSY")) return false;
    throw error;
  }
}
