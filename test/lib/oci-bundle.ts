/** A bundle on a busybox root, and the runtime under test run on it: for tests of what a container is made of. */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import {
  defaultCapabilities,
  defaultMaskedPaths,
  defaultMounts,
  defaultReadonlyPaths,
} from "../../src/runtime/defaults.ts";
import type { OciConfig, OciMount, OciProcess } from "../../src/runtime/oci-types.ts";
import { ociRuntime, type Ran } from "./oci-world.ts";

const applets =
  "sh cat echo sleep true ls mount umount kill id touch stat readlink mkdir ln rm grep head wc env test dd mknod awk seq printf chmod mv cp tty ps find setsid";

export interface BundleChange {
  readonly args?: readonly string[];
  readonly mounts?: readonly OciMount[];
  /** Instead of dockerd's defaults, before `mounts`. */
  readonly baseMounts?: readonly OciMount[];
  readonly process?: Partial<OciProcess>;
  readonly linux?: Partial<OciConfig["linux"]>;
  readonly root?: { readonly path: string; readonly readonly?: boolean };
  readonly config?: Partial<OciConfig>;
}

export interface MountLine {
  readonly path: string;
  readonly root: string;
  /** Per mount, then of the file system: "rw", "noexec", "size=1024k" … */
  readonly options: readonly string[];
  readonly superOptions: readonly string[];
  /** "shared:1", "master:2", "unbindable". */
  readonly propagation: readonly string[];
  readonly fstype: string;
  readonly source: string;
}

export function parseMountInfo(text: string): readonly MountLine[] {
  return text
    .split("\n")
    .filter((line) => line.includes(" - "))
    .map((line) => {
      const [front = "", back = ""] = line.split(" - ");
      const [, , , root = "", path = "", options = "", ...propagation] = front.split(" ");
      const [fstype = "", source = "", superOptions = ""] = back.split(" ");
      return {
        path,
        root,
        options: options.split(","),
        superOptions: superOptions.split(","),
        propagation,
        fstype,
        source,
      };
    });
}

export class OciBundles {
  readonly dir: string;
  readonly prefix: string;
  #count = 0;
  readonly #started: string[] = [];

  constructor(name: string) {
    this.dir = mkdtempSync(`/tmp/gantry-${name}-`);
    chmodSync(this.dir, 0o755);
    this.prefix = `gantry-${name}-${process.pid}`;
  }

  /** A root file system of its own. */
  rootfs(): string {
    const root = `${this.dir}/root${this.#count++}`;
    for (const dir of ["bin", "etc", "tmp", "root", "mnt"]) mkdirSync(`${root}/${dir}`, { recursive: true });
    copyFileSync("/bin/busybox", `${root}/bin/busybox`);
    chmodSync(`${root}/bin/busybox`, 0o755);
    for (const applet of applets.split(" ")) symlinkSync("busybox", `${root}/bin/${applet}`);
    return root;
  }

  /** A directory with a config.json; its name is the container's id. */
  bundle(change: BundleChange = {}): { readonly dir: string; readonly id: string; readonly root: string } {
    const id = `${this.prefix}-${this.#count++}`;
    const dir = `${this.dir}/${id}`;
    mkdirSync(dir, { recursive: true });
    const root = change.root?.path ?? this.rootfs();
    writeFileSync(
      `${dir}/config.json`,
      JSON.stringify(configOf(id, { ...change, root: { ...change.root, path: root } })),
    );
    return { dir, id, root };
  }

  /** The runtime's command line. */
  command(...words: readonly string[]): readonly string[] {
    return [ociRuntime, "--root", `${this.dir}/state`, ...words];
  }

  runtime(...words: readonly string[]): Ran {
    return runBounded(this.command(...words));
  }

  /** `run` to the end. */
  run(change: BundleChange): Ran {
    const { dir, id } = this.bundle(change);
    return this.runtime("run", "--bundle", dir, id);
  }

  /** `run --detach`; deleted in the end. */
  start(change: BundleChange): {
    readonly id: string;
    readonly dir: string;
    readonly root: string;
    readonly ran: Ran;
  } {
    const made = this.bundle({ args: ["sleep", "1000"], ...change });
    this.#started.push(made.id);
    // Its stdio is the container's, which outlives the command: no pipe could end.
    const ran = runBounded([
      "sh",
      "-c",
      '"$@" > "$0" 2>&1 < /dev/null; code=$?; cat "$0"; exit $code',
      `${made.dir}/out`,
      ...this.command("run", "--detach", "--bundle", made.dir, made.id),
    ]);
    return { ...made, ran };
  }

  exec(id: string, ...words: readonly string[]): Ran {
    return this.runtime("exec", id, ...words);
  }

  /** The mounts that a container with these mounts sees. */
  mountsOf(change: BundleChange): readonly MountLine[] {
    const ran = this.run({ args: ["cat", "/proc/self/mountinfo"], ...change });
    if (ran.code !== 0) throw new Error(`exit ${ran.code}: ${ran.err}`);
    return parseMountInfo(ran.out);
  }

  /** The last mount on a path. */
  mountAt(path: string, change: BundleChange): MountLine {
    const found = this.mountsOf(change)
      .filter((mount) => mount.path === path)
      .at(-1);
    if (found === undefined) throw new Error(`nothing is mounted on ${path}`);
    return found;
  }

  cleanUp(): void {
    for (const id of this.#started) this.runtime("delete", "--force", id);
    // What a test has mounted here; nothing of it may be followed by rm.
    const left = parseMountInfo(runBounded(["cat", "/proc/self/mountinfo"]).out).filter(({ path }) =>
      path.startsWith(this.dir),
    );
    for (const { path } of left.toReversed()) runBounded(["umount", "-l", path]);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Runs a command to its end, at most a minute; without a pipe that a descendant could keep open. */
export function runBounded(words: readonly string[], env: Readonly<Record<string, string>> = {}): Ran {
  const ran = Bun.spawnSync([...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"] ?? "", HOME: "/root", ...env },
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  return { code: ran.exitCode, out: ran.stdout.toString(), err: ran.stderr.toString() };
}

function configOf(id: string, change: BundleChange): OciConfig {
  return {
    ociVersion: "1.2.0",
    root: change.root ?? { path: "rootfs" },
    hostname: "box",
    process: {
      cwd: "/",
      args: change.args ?? ["true"],
      env: ["PATH=/bin"],
      user: { uid: 0, gid: 0 },
      capabilities: {
        bounding: defaultCapabilities,
        effective: defaultCapabilities,
        permitted: defaultCapabilities,
      },
      ...change.process,
    },
    mounts: [...(change.baseMounts ?? defaultMounts), ...(change.mounts ?? [])],
    ...change.config,
    linux: {
      cgroupsPath: `/${id}`,
      namespaces: (["mount", "pid", "network", "ipc", "uts", "cgroup"] as const).map((type) => ({ type })),
      maskedPaths: defaultMaskedPaths,
      readonlyPaths: defaultReadonlyPaths,
      ...change.linux,
    },
  };
}
