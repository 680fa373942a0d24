/** Hears when the kernel kills a process of a container because its memory limit is reached. */
import type { CgroupLayout } from "../../kernel/index.ts";
import { isErrno } from "../../lib/index.ts";
import { interfaceOf } from "../cgroup-limits.ts";
import { figures } from "./cgroup-figures.ts";
import { tryReadText } from "./host-cgroups.ts";

/** Without notice from the kernel the counter is read this often. */
const pollMs = 250;

/** Counts OOM kills from the moment it is made. `close` it. */
export class OomWatch {
  readonly #dir: string | undefined;
  readonly #file: string;
  /** Becomes readable when the counter may have changed; undefined where the kernel cannot tell. */
  readonly #notice: number | undefined;
  #seen: bigint;

  constructor(cgroups: CgroupLayout, cgroupsPath: string) {
    const v2 = interfaceOf(cgroups, "memory") === "v2";
    const mount = cgroups.kind === "v2" ? cgroups.unified : cgroups.controllers["memory"];
    this.#dir = mount === undefined ? undefined : `${mount}${cgroupsPath}`;
    this.#file = `${this.#dir ?? ""}/${v2 ? "memory.events" : "memory.oom_control"}`;
    this.#notice = this.#dir === undefined ? undefined : openNotice(this.#file, v2);
    this.#seen = this.#count();
  }

  /** Returns when something may have happened: news, the end of the container (`end`, a pidfd), or the time is up. */
  wait(timeoutMs: number, end: number | undefined): void {
    const fds = [this.#notice, end].filter((fd): fd is number => fd !== undefined);
    const polls = this.#dir !== undefined && this.#notice === undefined;
    const ready = host.poll(fds, Math.ceil(polls ? Math.min(timeoutMs, pollMs) : timeoutMs));
    // Only what says that there is news is taken; the counter tells how much.
    if (this.#notice !== undefined && ready.some((index) => fds[index] === this.#notice))
      host.read(this.#notice, 4096, 0);
  }

  /** How many kills there were since the last call. */
  news(): number {
    const now = this.#count();
    const fresh = now > this.#seen ? Number(now - this.#seen) : 0;
    if (fresh > 0) this.#seen = now;
    return fresh;
  }

  close(): void {
    if (this.#notice !== undefined) host.close(this.#notice);
  }

  #count(): bigint {
    if (this.#dir === undefined) return 0n;
    return figures(tryReadText(this.#file))["oom_kill"] ?? 0n;
  }
}

/** An eventfd registered with the v1 cgroup, or an inotify on memory.events. */
function openNotice(file: string, v2: boolean): number | undefined {
  try {
    return v2 ? host.watchFile(file) : host.oomEvents(file);
  } catch (error) {
    // ENOENT: no such cgroup. EINVAL, ENOSYS, EMFILE …: a kernel without it, or no more of them: the counter is polled.
    if (isErrno(error, "ENOENT", "EINVAL", "ENOSYS", "EMFILE", "ENOSPC", "EACCES", "EPERM")) return undefined;
    throw error;
  }
}
