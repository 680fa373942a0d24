/** Writes to control files that can be taken back, so that a change of several limits is made as a whole or not at all. */
import type { CgroupIo } from "../cgroup-io.ts";

/** What a file held before the first write to it. */
interface Before {
  readonly path: string;
  readonly text: string;
}

/**
 * Runs `work` with an io that remembers; when `work` throws, every file that it wrote is given its old content again.
 * What cannot be put back (a file that nobody can read, a value that the kernel does not take) stays; the error is `work`'s.
 */
export function undoIfFailed<T>(io: CgroupIo, work: (io: CgroupIo) => T): T {
  const written = new Map<string, Before>();
  try {
    return work({
      ...io,
      write(path, text) {
        const before = written.has(path) ? undefined : io.read(path);
        if (before !== undefined) written.set(path, { path, text: before });
        io.write(path, text);
      },
    });
  } catch (error) {
    for (const before of [...written.values()].reverse()) putBack(io, before);
    throw error;
  }
}

/** Files of several lines, one a device, take one line at a time. */
function putBack(io: CgroupIo, { path, text }: Before): void {
  for (const line of text.split("\n")) {
    if (line === "") continue;
    try {
      io.write(path, line);
    } catch {
      // Such as memory.oom_control, which is read in another form than it is written in.
    }
  }
}
