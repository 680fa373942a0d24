/**
 * What `gantry-oci` asks of the C program around it (native/oci): the few system calls that its verbs need, each blocking
 * and each with a deadline where it could wait. The program is QuickJS and these functions, nothing else: no node, no Bun,
 * no event loop. It starts in about a millisecond, which is why state and exec can be faster than runc's.
 *
 * A failing call throws an Error with `code` (the errno's name, such as "ENOENT", so that `isErrno` and `toGantryError` of
 * lib work on it), `errno`, `syscall` and, where there is one, `path`.
 */

export interface HostStat {
  readonly kind: "file" | "dir" | "symlink" | "fifo" | "socket" | "char" | "block";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly dev: number;
  readonly ino: number;
  readonly rdev: number;
  readonly size: number;
}

export interface HostSpawn {
  /** A path; "gantry-init" is the embedded program, from a sealed memory file. */
  readonly file: string;
  readonly argv: readonly string[];
  /** "KEY=VALUE"; missing: ours. */
  readonly env?: readonly string[];
  readonly cwd?: string;
  /** Fd n of the child is fds[n] of ours; -1 is /dev/null. All others are closed. */
  readonly fds: readonly number[];
}

export interface HostRunOptions {
  /** The program, when argv[0] is not its name. */
  readonly file?: string;
  readonly env?: readonly string[];
  readonly cwd?: string;
  /** Written to the child's stdin, which is then closed. */
  readonly stdin?: string;
  /** The child and its process group are killed then. */
  readonly timeoutMs: number;
  /** Of each stream; more is read and dropped. */
  readonly maxOutput: number;
}

export interface HostRunResult {
  /** -1 when a signal ended it. */
  readonly status: number;
  readonly signal: number;
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export interface OciHost {
  /** argv[0]; empty when there is none. */
  readonly program: string;
  /** Without the program's name. */
  readonly args: readonly string[];
  /** "KEY=VALUE". */
  readonly env: readonly string[];

  /** Reads and runs a module of the bundle that is embedded, with what it imports. Nothing when it is there already. */
  load(module: string): void;

  /** open(2) with O_CLOEXEC added. */
  open(path: string, flags: number, mode: number): number;
  close(fd: number): void;
  /** One read of at most `max` bytes; undefined when nothing came in time (-1: no deadline). Empty at the end. */
  read(fd: number, max: number, timeoutMs: number): Uint8Array | undefined;
  /** All of it, or the error. */
  write(fd: number, data: string | Uint8Array): void;
  /** One write(2): how many bytes were taken. 0 when a non-blocking fd takes none now. */
  writeSome(fd: number, data: Uint8Array): number;
  /** O_NONBLOCK. */
  setNonBlocking(fd: number): void;
  /** The whole file as UTF-8. @throws EFBIG when it is longer than `max` bytes */
  readFile(path: string, max: number): string;
  /** As readFile, with one read: of an ordinary file, or one that the kernel gives in one piece, such as /proc/PID/stat. */
  readSmall(path: string, max: number): string;
  /** open(O_WRONLY | O_CLOEXEC | flags), one write, close. */
  writeFile(path: string, text: string, flags: number, mode: number): void;
  /** PATH.tmp, fsync, rename: a reader sees the old or the new text, also after a loss of power. */
  replaceFile(path: string, text: string, mode: number): void;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** umount2(2) with what is mounted below; a link is not followed. @throws EINVAL where nothing is mounted */
  unmount(path: string): void;
  rmdir(path: string): void;
  /** With all cgroups below it, however deep. EBUSY: processes are in one of them. */
  removeCgroup(path: string): void;
  mkdir(path: string, mode: number): void;
  mkfifo(path: string, mode: number): void;
  symlink(target: string, path: string): void;
  readlink(path: string): string;
  readdir(path: string): readonly string[];
  /** lstat. */
  lstat(path: string): HostStat;
  /** lstat's uid alone. */
  ownerOf(path: string): number;
  stat(path: string): HostStat;
  fstat(fd: number): HostStat;
  access(path: string, mode: number): boolean;
  realpath(path: string): string;
  /** statfs.f_type. */
  fsType(path: string): number;
  /** flock(LOCK_EX), tried until the deadline. False when somebody else holds it still. */
  lock(fd: number, timeoutMs: number): boolean;
  chdir(path: string): void;
  cwd(): string;

  /** Unix time in ms, and CLOCK_MONOTONIC in ms. */
  now(): number;
  monotonic(): number;
  sleep(ms: number): void;

  pid(): number;
  uid(): number;
  gid(): number;
  /** kill(2). */
  kill(pid: number, signal: number): void;
  pidfdOpen(pid: number): number;
  pidfdSignal(fd: number, signal: number): void;
  spawn(request: HostSpawn): number;
  /** Exit code (128 + signal), or undefined when it still runs at the deadline. */
  waitPid(pid: number, timeoutMs: number): number | undefined;
  /** Runs a program to its end. argv[0] is looked up in PATH when it has no slash. */
  run(argv: readonly string[], options: HostRunOptions): HostRunResult;
  /** Replaces this process. Returns only by throwing. */
  exec(file: string, argv: readonly string[], env: readonly string[]): never;

  socketpair(): readonly [number, number];
  /** A unix stream socket connected to `path` (any length: through /proc/self/fd). */
  connect(path: string): number;
  /** Sends the bytes with these fds (SCM_RIGHTS). */
  sendFds(fd: number, data: string, fds: readonly number[]): void;
  /** One message with at most one fd; fd -1 when none came. undefined at the deadline. */
  receiveFd(fd: number, timeoutMs: number): { readonly data: string; readonly fd: number } | undefined;
  /**
   * poll(2): the indexes of those ready. `fds` for input (readable, ended or broken), `output` for output; an index into
   * `output` comes as fds.length + index.
   */
  poll(fds: readonly number[], timeoutMs: number, output?: readonly number[]): readonly number[];
  /** A unix datagram socket bound to `path` (any length), which everybody may send to. */
  bindDatagram(path: string): number;
  /** A unix datagram socket connected to `path`: write and sendFds send on it. */
  connectDatagram(path: string): number;
  /** poll(2) for output on one fd. */
  writable(fd: number, timeoutMs: number): boolean;
  /** Blocks these signals and returns a signalfd for them. */
  signalFd(signals: readonly number[]): number;
  /** The next signal's number from a signalfd that poll called ready; 0 when there is none. */
  nextSignal(fd: number): number;
  /** prctl(PR_SET_CHILD_SUBREAPER, 1). */
  becomeSubreaper(): void;

  isTerminal(fd: number): boolean;
  windowSize(fd: number): { readonly rows: number; readonly cols: number };
  setWindowSize(fd: number, rows: number, cols: number): void;
  /** Raw mode, but for what is written to it, until the program ends (restored at exit, also at a deadly signal). */
  rawTerminal(fd: number): void;

  /** An eventfd that becomes readable when the v1 cgroup of this memory.oom_control is out of memory, or gone. */
  oomEvents(file: string): number;
  /** An inotify fd that becomes readable when the file is modified. */
  watchFile(file: string): number;

  /** bpf(2): replaces the device program of a v2 cgroup directory. */
  setDeviceProgram(cgroupDir: string, instructions: Uint8Array): void;
}

declare global {
  /** Made by native/oci before the program runs. */
  // oxlint-disable-next-line no-var -- a global
  var host: OciHost;
}
