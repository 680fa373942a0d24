/** Runs gantry-init with a plan and talks its protocol, without the runtime room's life cycle. */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { join, resolve } from "node:path";

import { cloneFlags, initProgram, loadSys, mountFlags } from "../../src/kernel/index.ts";
import { Channel } from "../../src/runtime/channel.ts";
import { encodePlan } from "../../src/runtime/encode-plan.ts";
import type { Exited, Failed, Frame, Started } from "../../src/runtime/frames.ts";
import type {
  AttachStreams,
  ContainerStep,
  MonitorOptions,
  MonitorStep,
  Plan,
} from "../../src/runtime/plan-step.ts";

export const programs = {
  plain: resolve(import.meta.dir, "../../build/gantry-init.bin"),
  asan: resolve(import.meta.dir, "../../build/gantry-init.asan"),
} as const;

const sys = loadSys();
const waitMs = 15_000;

/** One connection: what came so far, and waiting for what comes. */
export class Talk {
  readonly channel: Channel;
  readonly frames: Frame[] = [];
  #closed = false;
  #wake: () => void = () => {};
  #gate: Promise<void> | undefined;

  constructor(channel: Channel) {
    this.channel = channel;
    channel.start({
      onFrame: (frame) => {
        this.frames.push(frame);
        this.#wake();
        return this.#gate;
      },
      onClose: () => {
        this.#closed = true;
        this.#wake();
      },
    });
  }

  /** Takes no more frames until the returned function is called. */
  hold(): () => void {
    let open = (): void => {};
    this.#gate = new Promise((resolve) => {
      open = () => {
        this.#gate = undefined;
        resolve();
      };
    });
    return () => open();
  }

  /** Resolves once `ready` gives a value; fails after 15 s or when the connection ends without. */
  async until<T>(ready: () => T | undefined, what: string): Promise<T> {
    const deadline = performance.now() + waitMs;
    for (;;) {
      const value = ready();
      if (value !== undefined) return value;
      const seen = this.frames
        .filter((frame) => frame.type !== "output")
        .map((frame) => JSON.stringify(frame));
      if (this.#closed) throw new Error(`the connection ended before ${what}; came: ${seen.join(" ")}`);
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`${what} did not come; came: ${seen.join(" ")}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  started(): Promise<Started> {
    return this.until(
      () => this.frames.flatMap((frame) => (frame.type === "started" ? [frame.started] : [])).at(0),
      "STARTED",
    );
  }

  exited(): Promise<Exited> {
    return this.until(
      () => this.frames.flatMap((frame) => (frame.type === "exited" ? [frame.exited] : [])).at(0),
      "EXITED",
    );
  }

  failed(): Promise<Failed> {
    return this.until(
      () => this.frames.flatMap((frame) => (frame.type === "failed" ? [frame.failed] : [])).at(0),
      "FAILED",
    );
  }

  closed(): Promise<true> {
    return this.until(() => (this.#closed ? true : undefined), "the end");
  }

  output(stream?: 1 | 2): string {
    const chunks = this.frames.flatMap((frame) =>
      frame.type === "output" && (stream === undefined || frame.stream === stream) ? [frame.bytes] : [],
    );
    return Buffer.concat(chunks).toString();
  }

  async sees(text: string): Promise<void> {
    await this.until(() => (this.output().includes(text) ? true : undefined), JSON.stringify(text));
  }
}

export interface Launch {
  readonly control: Talk;
  readonly attached: readonly Talk[];
  /** Of the process that was spawned; in mode monitor it has ended. */
  readonly pid: number;
}

export interface LaunchRequest {
  readonly options?: MonitorOptions;
  readonly attach?: readonly AttachStreams[];
  readonly program?: keyof typeof programs;
  readonly mode?: "monitor" | "run";
  /** Fds 0..2 in mode run; further ones behind the control connection. */
  readonly stdio?: readonly [number, number, number];
  readonly extraFds?: readonly number[];
}

export const all: AttachStreams = { stdin: true, stdout: true, stderr: true };

export async function launch(plan: Plan, request: LaunchRequest = {}): Promise<Launch> {
  return launchBytes(encodePlan(plan, { ...request.options, attach: request.attach ?? [] }), request);
}

export async function launchBytes(bytes: Uint8Array, request: LaunchRequest = {}): Promise<Launch> {
  const pairs = [undefined, ...(request.attach ?? [])].map(() => sys.socketpair());
  const path = programs[request.program ?? "plain"];
  // As in production: from a sealed memory file. The sanitizers want a path to find their symbols.
  const file = request.program === "asan" ? openSync(path, "r") : initProgram(sys);
  const theirs = pairs.map((pair) => pair[1]);
  const mode = request.mode ?? "monitor";
  const spawned = sys.spawn({
    file,
    argv: ["gantry-init", mode, " ".repeat(40)],
    env: ["ASAN_OPTIONS=log_path=/tmp/gantry-native-asan", "UBSAN_OPTIONS=log_path=/tmp/gantry-native-asan"],
    fds: [...(request.stdio ?? [-1, -1, -1]), ...theirs, ...(request.extraFds ?? [])],
    wait: mode === "monitor",
  });
  for (const fd of request.program === "asan" ? [file, ...theirs] : theirs) closeSync(fd);
  const talks: Talk[] = [];
  for (const [ours] of pairs) talks.push(new Talk(await Channel.adopt(ours)));
  const [control, ...attached] = talks;
  if (control === undefined) throw new Error("no control connection");
  await control.channel.write(bytes).catch(() => {});
  return { control, attached, pid: spawned.pid };
}

/** A directory of one test with a busybox root. */
export class Sandbox {
  readonly dir = mkdtempSync("/tmp/gantry-native-");
  readonly root = join(this.dir, "root");

  constructor() {
    chmodSync(this.dir, 0o755);
    for (const name of ["bin", "proc", "dev", "sys", "tmp", "etc", "work"])
      mkdirSync(join(this.root, name), { recursive: true });
    copyFileSync("/bin/busybox", join(this.root, "bin/busybox"));
    const names = [
      "sh",
      "cat",
      "echo",
      "sleep",
      "true",
      "id",
      "ls",
      "tty",
      "stty",
      "yes",
      "head",
      "env",
      "mount",
      "dd",
      "kill",
      "ps",
      "readlink",
      "hostname",
      "pwd",
      "stat",
      "touch",
      "printf",
      "nproc",
      "seq",
      "tail",
      "ulimit",
      "wc",
      "trap",
    ];
    for (const name of names) symlinkSync("busybox", join(this.root, "bin", name));
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  [Symbol.dispose](): void {
    // A monitor on its way out may remove its socket at the same moment, which makes rm stop half-way without a word.
    for (let i = 0; i < 100 && existsSync(this.dir); i++) {
      if (i > 0) Bun.sleepSync(10);
      rmSync(this.dir, { recursive: true, force: true });
    }
  }
}

export const containerFlags =
  cloneFlags.CLONE_NEWNS |
  cloneFlags.CLONE_NEWPID |
  cloneFlags.CLONE_NEWUTS |
  cloneFlags.CLONE_NEWIPC |
  cloneFlags.CLONE_NEWNET;

export interface Pieces {
  readonly before?: readonly MonitorStep[];
  readonly monitor?: readonly MonitorStep[];
  readonly early?: readonly ContainerStep[];
  /** Behind pivot-root. */
  readonly late?: readonly ContainerStep[];
  readonly teardown?: readonly MonitorStep[];
  readonly env?: readonly string[];
  readonly useInit?: boolean;
  readonly flags?: bigint;
  readonly root?: readonly ContainerStep[];
}

/** A small container: own namespaces, /proc, /dev with null and pts. */
export function container(sandbox: Sandbox, argv: readonly string[], pieces: Pieces = {}): Plan {
  const { MS_REC, MS_PRIVATE, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_RDONLY } = mountFlags;
  const safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  const mount = (fstype: string, inside: string, flags: bigint, data = ""): ContainerStep => ({
    do: "mount",
    source: fstype,
    inside,
    fstype,
    flags,
    data,
    makeTarget: true,
  });
  return {
    monitor: [
      ...(pieces.before ?? []),
      { do: "clone", flags: pieces.flags ?? containerFlags },
      ...(pieces.monitor ?? []),
    ],
    container: [
      ...(pieces.early ?? []),
      { do: "wait-parent" },
      { do: "mount-propagation", path: "/", flags: MS_REC | MS_PRIVATE },
      ...(pieces.root ?? [{ do: "root", path: sandbox.root, flags: 0n } as const]),
      mount("proc", "/proc", safe),
      mount("tmpfs", "/dev", MS_NOSUID, "mode=755,size=64k"),
      mount("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
      mount("sysfs", "/sys", safe | MS_RDONLY),
      { do: "make-node", inside: "/dev/null", mode: 0o20666, major: 1, minor: 3, uid: 0, gid: 0 },
      { do: "symlink", target: "pts/ptmx", inside: "/dev/ptmx" },
      { do: "pivot-root" },
      ...(pieces.late ?? []),
      { do: "exec", argv, env: pieces.env ?? ["PATH=/bin"], useInit: pieces.useInit ?? false },
    ],
    teardown: pieces.teardown ?? [],
  };
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    // ENOENT: no such process.
    return false;
  }
}

/** The monitor whose process title holds `words`. */
export function monitorTitled(words: string): number | undefined {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, "latin1");
      if (line.startsWith("gantry-test ") && line.includes(words)) return Number(name);
    } catch {
      // ENOENT, ESRCH: it has just ended.
    }
  }
  return undefined;
}

/** The sanitizers write a file a report. */
export function noSanitizerReports(): void {
  const reports = readdirSync("/tmp").filter((name) => name.startsWith("gantry-native-asan."));
  const texts = reports.map((name) => readFileSync(join("/tmp", name), "utf8"));
  for (const name of reports) rmSync(join("/tmp", name));
  if (texts.length > 0) throw new Error(texts.join("\n"));
}
