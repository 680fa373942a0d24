/** Files of the user that flags name: variables, labels, seccomp profiles. */
import { CliError, hasErrno } from "../errors.ts";

const largest = 16 << 20;

/** @throws {CliError} in the words of Go's os package */
export function readUserFile(path: string): string {
  try {
    // Not imported above: a run without files does not pay for the module (1 ms).
    const bytes = process.getBuiltinModule("node:fs").readFileSync(path);
    if (bytes.length > largest) throw new CliError(`${path} is larger than ${largest} bytes`);
    return bytes.toString("utf8");
  } catch (error) {
    if (error instanceof CliError) throw error;
    const reasons = {
      ENOENT: "no such file or directory",
      EACCES: "permission denied",
      EISDIR: "is a directory",
      ENOTDIR: "not a directory",
    };
    const reason = Object.entries(reasons).find(([name]) => hasErrno(error, name))?.[1] ?? String(error);
    throw new CliError(`open ${path}: ${reason}`);
  }
}

/**
 * The `NAME=value` lines of a file; empty lines and those that begin with # do not count.
 * @param lookUp the value of a name that stands alone; undefined drops it
 */
export function readPairs(path: string, lookUp: (name: string) => string | undefined): string[] {
  const pairs: string[] = [];
  for (const raw of readUserFile(path)
    .replace(/^\uFEFF/, "")
    .split("\n")) {
    const line = raw.replace(/\r$/, "").trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const at = line.indexOf("=");
    const name = at < 0 ? line : line.slice(0, at);
    if (name === "") throw new CliError(`invalid env file (${path}): no variable name on line '${line}'`);
    if (/\s/.test(at < 0 ? name.trimEnd() : name)) {
      throw new CliError(`invalid env file (${path}): variable '${name}' contains whitespaces`);
    }
    if (at >= 0) pairs.push(line);
    else {
      const value = lookUp(name.trimEnd());
      if (value !== undefined) pairs.push(`${name.trimEnd()}=${value}`);
    }
  }
  return pairs;
}
