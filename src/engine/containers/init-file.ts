/** gantry-init as a file, for another runtime that can only bind a path into a container as its init. */
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { initProgram } from "../../kernel/index.ts";
import { sha256 } from "../../lib/index.ts";
import type { EngineContext } from "../context.ts";

/** Named by its content: an engine of another version has a file of its own. Containers see it read-only. */
export function initFile({ sys, paths }: EngineContext): string {
  const bytes = readFileSync(`/proc/self/fd/${initProgram(sys)}`);
  const path = join(paths.state, `init-${sha256(bytes).slice(7, 19)}`);
  if (existsSync(path)) return path;
  writeFileSync(`${path}.new`, bytes);
  chmodSync(`${path}.new`, 0o755);
  renameSync(`${path}.new`, path);
  return path;
}
