/**
 * What the Node-API addon `native/sys*.c` offers: thin wrappers of system calls, no policy. Every function throws an Error
 * with `code` (such as "ENOENT"), `errno` (positive) and `syscall` when the kernel refuses, and a TypeError for an argument
 * of the wrong kind. A string with a NUL byte is EINVAL, a path over 4095 bytes ENAMETOOLONG. All fds are close-on-exec.
 */

export interface SpawnRequest {
  /** An open fd of the program (a sealed memfd); run with execveat(fd, "", AT_EMPTY_PATH). */
  readonly file: number;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** The child's fds: index is the number there, value the fd here; -1 is /dev/null. Everything else is closed. */
  readonly fds: readonly number[];
  /** Wait for the child and return its exit status (for a program that detaches at once; killed after 10 s, ETIMEDOUT). */
  readonly wait: boolean;
}

export interface Sys {
  /** A sealed (no write, grow, shrink, further seal), close-on-exec, executable memory file holding `bytes`. */
  memfd(name: string, bytes: Uint8Array): number;
  /**
   * vfork, fd shuffle, signal reset, execveat. Never leaks an fd; a failure of exec is thrown here. `status`: the exit code
   * (128 + signal when killed), if asked. Without `wait` the caller reaps, see `reap`.
   */
  spawn(request: SpawnRequest): { readonly pid: number; readonly status?: number };
  /** Replaces this process by the program behind `file` (execveat), without ignored or blocked signals. Throws or never returns. */
  exec(request: Pick<SpawnRequest, "file" | "argv" | "env">): never;
  /** The exit code of our child `pid` (128 + signal when killed), which is gone then; undefined while it runs. ECHILD. */
  reap(pid: number): number | undefined;
  /** A unix stream pair, non-blocking at end 0, blocking at end 1. */
  socketpair(): readonly [number, number];
  close(fd: number): void;
  dup(fd: number): number;

  /** Raw netlink socket of a protocol (NETLINK_ROUTE 0, NETLINK_NETFILTER 12), bound; receive timeout 5 s. */
  netlinkOpen(protocol: number): number;
  /** As netlinkOpen, inside the network namespace at `path` (a helper thread enters it). */
  netlinkOpenAt(protocol: number, path: string): number;
  /**
   * Sends one buffer (one or several messages) and returns every datagram until `expectedAcks` acks, ends of dumps or errors
   * have been seen; after an error, what the kernel had queued. What an earlier exchange left behind is dropped first.
   * ETIMEDOUT after 5 s without an answer, ENOBUFS when the answers did not fit, EMSGSIZE above 64 MiB.
   */
  netlinkExchange(fd: number, request: Uint8Array, expectedAcks: number): Uint8Array[];

  /** mount(2); empty `source`, `fstype` and `data` are NULL. */
  mount(source: string, target: string, fstype: string, flags: number, data: string): void;
  umount(target: string, flags: number): void;
  /** chroot(2) alone: the caller changes directory itself. After `unshare(CLONE_NEWNS)` it holds for the calling thread only. */
  chroot(path: string): void;
  /** For the calling thread: node:fs *Sync calls see the new namespace, asynchronous ones (thread pool) do not. */
  unshare(flags: number): void;
  /** ESRCH when there is no such process. */
  pidfdOpen(pid: number): number;
  /** ESRCH when the process has ended. */
  pidfdSignal(pidfd: number, signal: number): void;
  /**
   * Resolves when the process behind the pidfd has ended. The pidfd may be closed at once (a copy is watched). One thread
   * serves all waits; a pending wait keeps the program alive.
   */
  pidfdWait(pidfd: number): Promise<void>;

  /** Here and below, a name that is not UTF-8 is given as its bytes. */
  mknod(path: string | Uint8Array, mode: number, major: number, minor: number): void;
  /** Extended attributes, links never followed. None where the file system has no extended attributes. */
  listXattrs(path: string | Uint8Array): string[];
  /** ENODATA when absent. */
  getXattr(path: string | Uint8Array, name: string): Uint8Array;
  setXattr(path: string | Uint8Array, name: string, value: Uint8Array): void;
  /** utimensat(AT_SYMLINK_NOFOLLOW), nanoseconds since 1970, before it negative. */
  setTimes(path: string | Uint8Array, atimeNs: bigint, mtimeNs: bigint): void;
  /** Exclusive flock(2), never blocking: false when another process holds it. */
  tryLock(fd: number): boolean;
  syncfs(fd: number): void;
  /**
   * fs-verity (SHA-256, blocks of 4096 bytes) of a file that is open for reading and not for writing anywhere: it can no
   * more be changed, and the kernel checks what it reads of it. Reads the whole file. EOPNOTSUPP, ENOTTY where there is none.
   */
  enableVerity(fd: number): void;
  /** renameat2 with RENAME_NOREPLACE (1) or RENAME_EXCHANGE (2). */
  rename2(from: string, to: string, flags: number): void;
  /** Free (for unprivileged users) and total bytes of the file system at `path`, and its magic number. */
  statfs(path: string): { readonly type: number; readonly totalBytes: bigint; readonly freeBytes: bigint };

  /**
   * Binds a TCP (not listening) or UDP port of a numeric IPv4 or IPv6 address and returns the fd that holds it; port 0: the
   * kernel's choice. EADDRINUSE when taken, EADDRNOTAVAIL when the address is not ours, EINVAL when it is not an address.
   */
  bindPort(
    protocol: "tcp" | "udp",
    address: string,
    port: number,
  ): { readonly fd: number; readonly port: number };
  /** 0 when there is no such interface. */
  ifNameToIndex(name: string): number;
  /** Window size of a terminal fd; ENOTTY. */
  windowSize(fd: number): { readonly rows: number; readonly cols: number };
  setWindowSize(fd: number, rows: number, cols: number): void;
  /** Lets what is written to a terminal pass as it is (OPOST off); ENOTTY. */
  passOutput(fd: number): void;
  /** SO_PEERCRED of a unix socket: who connected. */
  peerCredentials(socket: number): { readonly pid: number; readonly uid: number; readonly gid: number };
  /** Sends one byte and 1 to 253 fds over a unix socket fd. */
  sendFds(socket: number, fds: readonly number[]): void;
  /** Receives one byte and the fds with it; none at the end of the stream. EMSGSIZE (all closed) when more than `max`. */
  receiveFds(socket: number, max: number): number[];
  /** prctl(PR_SET_CHILD_SUBREAPER). */
  setChildSubreaper(on: boolean): void;
  /**
   * For the calling thread and what it starts: no capability but those in `keep` (bit n is capability n), and none by
   * exec (no_new_privs).
   */
  limitRights(keep: bigint): void;
  /** Raises the soft RLIMIT_NOFILE to the hard one; returns it. */
  raiseFileLimit(): number;
  /** Takes the program's text out of this process's memory (the page cache keeps it); returns the bytes of its mappings. */
  trimText(): number;
}
