/** What the runtime's system tests share: a busybox root file system, plans on it, and a clean-up that leaves nothing. */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { detectCgroups, loadSys } from "../../src/kernel/index.ts";
import { removeCgroup } from "../../src/runtime/cgroup-engine.ts";
import {
  type AttachSession,
  type ContainerPlanInput,
  defaultCapabilities,
  defaultDeviceRules,
  defaultMaskedPaths,
  defaultMounts,
  defaultReadonlyPaths,
  defaultSeccompProfile,
  type Exited,
  type Launched,
  type OciConfig,
  type OciProcess,
  type OciResources,
  nodeCgroupIo,
  planContainer,
  Runtime,
} from "../../src/runtime/index.ts";

export const sys = loadSys();
export const cgroups = detectCgroups();
export const runtime = new Runtime(sys);

const applets = [
  "sh",
  "cat",
  "echo",
  "sleep",
  "true",
  "id",
  "ls",
  "mount",
  "kill",
  "head",
  "dd",
  "stty",
  "tty",
  "hostname",
  "test",
  "wc",
  "yes",
  "touch",
  "mknod",
  "env",
  "pwd",
  "ps",
  "grep",
  "tail",
  "mkdir",
  "umount",
  "readlink",
  "seq",
];

export class World {
  readonly dir = mkdtempSync("/tmp/gantry-runtime-");
  readonly rootfs = `${this.dir}/layer`;
  readonly prefix = `/gantry-test-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  #count = 0;
  readonly #paths: string[] = [];

  constructor() {
    for (const dir of ["bin", "etc", "tmp", "root", "work"])
      mkdirSync(`${this.rootfs}/${dir}`, { recursive: true });
    chmodSync(`${this.rootfs}/tmp`, 0o1777);
    copyFileSync("/bin/busybox", `${this.rootfs}/bin/busybox`);
    chmodSync(`${this.rootfs}/bin/busybox`, 0o755);
    for (const applet of applets) symlinkSync("busybox", `${this.rootfs}/bin/${applet}`);
    writeFileSync(`${this.rootfs}/etc/passwd`, "root:x:0:0:root:/root:/bin/sh\n");
  }

  /** A container's plan input with an overlay of its own. */
  container(
    process: Partial<OciProcess>,
    change: { resources?: OciResources; config?: Partial<OciConfig> } = {},
  ): ContainerPlanInput & { readonly dir: string; readonly cgroupsPath: string } {
    const dir = `${this.dir}/c${this.#count++}`;
    for (const part of ["upper", "work", "merged"]) mkdirSync(`${dir}/${part}`, { recursive: true });
    const cgroupsPath = `${this.prefix}/${this.#count}`;
    this.#paths.push(cgroupsPath);
    const overlay = {
      target: `${dir}/merged`,
      lowers: [this.rootfs],
      upper: `${dir}/upper`,
      work: `${dir}/work`,
      options: "",
    };
    return { config: baseConfig(cgroupsPath, process, change), cgroups, overlay, dir, cgroupsPath };
  }

  async cleanUp(): Promise<void> {
    for (const path of this.#paths) await removeCgroup(cgroups, path);
    await removeCgroup(cgroups, this.prefix);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function baseConfig(
  cgroupsPath: string,
  process: Partial<OciProcess>,
  change: { resources?: OciResources; config?: Partial<OciConfig> },
): OciConfig {
  return {
    ociVersion: "1.3.0",
    root: { path: "/" },
    hostname: "box",
    process: {
      cwd: "/",
      args: ["true"],
      env: ["PATH=/bin"],
      user: { uid: 0, gid: 0 },
      capabilities: {
        bounding: defaultCapabilities,
        effective: defaultCapabilities,
        permitted: defaultCapabilities,
      },
      ...process,
    },
    mounts: defaultMounts,
    linux: {
      cgroupsPath,
      namespaces: (["mount", "pid", "network", "ipc", "uts", "cgroup"] as const).map((type) => ({ type })),
      resources: { devices: defaultDeviceRules, ...change.resources },
      maskedPaths: defaultMaskedPaths,
      readonlyPaths: defaultReadonlyPaths,
      seccomp: defaultSeccompProfile(defaultCapabilities),
    },
    ...change.config,
  };
}

export interface Ran {
  readonly exited: Exited | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** All output of a session and its end, at most after 20 s. */
export async function collect(session: AttachSession): Promise<Ran> {
  const out: Record<1 | 2, string> = { 1: "", 2: "" };
  const decoders = { 1: new TextDecoder(), 2: new TextDecoder() };
  const end = new Promise<Exited | undefined>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no end after 20 s; so far: ${JSON.stringify(out)}`)),
      20_000,
    );
    session.begin({
      onOutput: (stream, bytes) => {
        out[stream] += decoders[stream].decode(bytes, { stream: true });
        return undefined;
      },
      onEnd: (exited) => {
        clearTimeout(timer);
        resolve(exited);
      },
    });
  });
  return { exited: await end, stdout: out[1], stderr: out[2] };
}

export const allStreams = { stdin: true, stdout: true, stderr: true };

/** Launches a container with one session that has its stdin. */
export async function launch(
  input: ContainerPlanInput,
  options: object = {},
): Promise<Launched & { readonly session: AttachSession }> {
  const { plan, oomPath } = planContainer({ readText: nodeCgroupIo.read, ...input });
  const launched = await runtime.launch({
    plan,
    options: {
      stdin: { once: true },
      noLogRelay: true,
      ...(oomPath === undefined ? {} : { oomPath }),
      ...options,
    },
    attach: [allStreams],
  });
  const [session] = launched.attached;
  if (session === undefined) throw new Error("no session");
  return { ...launched, session };
}

/** Runs a container to its end. */
export async function run(input: ContainerPlanInput, stdin = ""): Promise<Ran> {
  const { session, control } = await launch(input);
  if (stdin !== "") await session.write(new TextEncoder().encode(stdin));
  session.endStdin();
  const ran = await collect(session);
  control.close();
  return ran;
}

/** The directories of a cgroup that exist, in any hierarchy. */
export function cgroupLeftovers(path: string): string[] {
  const mounts = new Set(Object.values(cgroups.controllers));
  return [...mounts].flatMap((mount) => {
    const at = path.lastIndexOf("/");
    try {
      return readdirSync(`${mount}${path.slice(0, at)}`).filter((name) => name === path.slice(at + 1));
    } catch {
      return []; // ENOENT: the parent is not there either
    }
  });
}
