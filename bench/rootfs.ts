/** One root file system for all: busybox and nothing else. */
import { copyFileSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { output } from "./run-command.ts";

/** Makes the tree below `dir` and returns it. */
export function makeRootfs(dir: string): string {
  for (const folder of ["bin", "proc", "sys", "dev", "etc", "tmp"])
    mkdirSync(join(dir, folder), { recursive: true });
  copyFileSync("/bin/busybox", join(dir, "bin/busybox"));
  for (const applet of ["sh", "true", "sleep", "cat", "ps"]) symlinkSync("busybox", join(dir, "bin", applet));
  return dir;
}

/** The same tree as a tar file. */
export function makeArchive(rootfs: string, file: string): string {
  output("tar", "-C", rootfs, "-cf", file, ".");
  return file;
}
