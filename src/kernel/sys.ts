/**
 * What the Node-API addon `native/sys` offers: thin wrappers of system calls, no policy. Every function throws an Error
 * with `code` (such as "ENOENT"), `errno` (positive) and `syscall` when the kernel refuses.
 */

export interface SpawnRequest {
  /** An open fd of the program (a sealed memfd); run with execveat(fd, "", AT_EMPTY_PATH). */
  readonly file: number;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** The child's fds: index is the number there, value the fd here; -1 is /dev/null. Everything else is closed. */
  readonly fds: readonly number[];
  /** Wait for the child and return its exit status (for a program that detaches at once). */
  readonly wait: boolean;
}

export interface Sys {
  /** A sealed (no write, grow, shrink, further seal), close-on-exec, executable memory file holding `bytes`. */
  memfd(name: string, bytes: Uint8Array): number;
  /** vfork, fd shuffle, signal reset, execveat. Never leaks an fd. `status`: the wait status's exit code, if asked. */
  spawn(request: SpawnRequest): { readonly pid: number; readonly status?: number };
  /** A unix stream pair, close-on-exec, non-blocking at end 0, blocking at end 1. */
  socketpair(): readonly [number, number];
  close(fd: number): void;
  dup(fd: number): number;

  /** Raw netlink socket of a protocol (NETLINK_ROUTE 0, NETLINK_NETFILTER 12), bound; receive timeout 5 s. */
  netlinkOpen(protocol: number): number;
  /** As netlinkOpen, inside the network namespace at `path` (a helper thread enters it). */
  netlinkOpenAt(protocol: number, path: string): number;
  /** Sends one buffer (one or several messages) and returns every datagram up to the last ack, done or error. */
  netlinkExchange(fd: number, request: Uint8Array, expectedAcks: number): Uint8Array[];

  mount(source: string, target: string, fstype: string, flags: number, data: string): void;
  umount(target: string, flags: number): void;
  chroot(path: string): void;
  /** For the calling thread. */
  unshare(flags: number): void;
  pidfdOpen(pid: number): number;
  pidfdSignal(pidfd: number, signal: number): void;
  /** Resolves when the process behind the pidfd has ended (a thread-free uv/epoll wait is not needed: a helper thread polls). */
  pidfdWait(pidfd: number): Promise<void>;

  mknod(path: string, mode: number, major: number, minor: number): void;
  /** Extended attributes, links never followed. */
  listXattrs(path: string): string[];
  getXattr(path: string, name: string): Uint8Array;
  setXattr(path: string, name: string, value: Uint8Array): void;
  /** utimensat(AT_SYMLINK_NOFOLLOW), nanoseconds since 1970. */
  setTimes(path: string, atimeNs: bigint, mtimeNs: bigint): void;
  /** BLOCKING flock(2) is never used: false when another process holds it. */
  tryLock(fd: number): boolean;
  syncfs(fd: number): void;
  /** renameat2 with RENAME_NOREPLACE / RENAME_EXCHANGE. */
  rename2(from: string, to: string, flags: number): void;
  /** Free and total bytes of the file system at `path`. */
  statfs(path: string): { readonly type: number; readonly totalBytes: bigint; readonly freeBytes: bigint };

  /** Binds a TCP (listening not) or UDP port and returns the fd that holds it; EADDRINUSE when taken. */
  bindPort(protocol: "tcp" | "udp", address: string, port: number): { readonly fd: number; readonly port: number };
  /** Name of the interface of an index and back; 0 / "" when absent. */
  ifNameToIndex(name: string): number;
  /** Window size of a terminal fd. */
  windowSize(fd: number): { readonly rows: number; readonly cols: number };
  setWindowSize(fd: number, rows: number, cols: number): void;
  /** Sends a byte and fds over a unix socket fd, and receives them. */
  sendFds(socket: number, fds: readonly number[]): void;
  receiveFds(socket: number, max: number): number[];
  /** prctl(PR_SET_CHILD_SUBREAPER). */
  setChildSubreaper(on: boolean): void;
  /** prlimit(0, RLIMIT_NOFILE): raises the soft limit to the hard one; returns it. */
  raiseFileLimit(): number;
}
