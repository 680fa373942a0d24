/** One write into a control file, its refusal in words. */
import { GantryError, isErrno, toGantryError } from "../lib/index.ts";
import type { CgroupIo } from "./cgroup-io.ts";

/** @throws {GantryError} "not-found" without the file, "invalid" when the kernel refuses the value, else by its errno */
export function writeControl(io: CgroupIo, path: string, value: string): void {
  try {
    io.write(path, value);
  } catch (error) {
    const what = `write ${JSON.stringify(value)} to ${path}`;
    if (isErrno(error, "ENOENT"))
      throw new GantryError(
        "not-found",
        `there is no ${path}: the container is not running, or the kernel lacks this control`,
        { cause: error },
      );
    if (isErrno(error, "EINVAL", "ERANGE", "E2BIG"))
      throw new GantryError("invalid", `${what}: invalid argument`, { cause: error });
    throw toGantryError(error, what);
  }
}
