/** What an ordinary user, or root of a user namespace, may do here. */
import type { CgroupLayout } from "../../kernel/index.ts";
import { cgroupRights, type CgroupRights } from "../cgroup-rights.ts";
import type { Rootless } from "../plan-input.ts";
import { envOf, type GlobalOptions } from "./context.ts";

const writable = 2;
const executable = 1;
const standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** For the planner: nothing when root runs us. */
export function rootlessInput(): { readonly rootless?: Rootless } {
  if (host.uid() === 0) return {};
  const newuidmap = programInPath("newuidmap");
  const newgidmap = programInPath("newgidmap");
  return {
    rootless: {
      uid: host.uid(),
      gid: host.gid(),
      ...(newuidmap === undefined ? {} : { newuidmap }),
      ...(newgidmap === undefined ? {} : { newgidmap }),
    },
  };
}

/** For the planner: nothing when all hierarchies are ours to write to, or --rootless says so. */
export function rightsInput(
  cgroups: CgroupLayout,
  cgroupsPath: string,
  mode: GlobalOptions["rootless"],
): { readonly cgroupRights?: CgroupRights } {
  if (mode === "false" || (mode === "auto" && host.uid() === 0 && ownsTheMachine())) return {};
  return { cgroupRights: cgroupRights(cgroups, cgroupsPath, mayWrite) };
}

function mayWrite(dir: string): boolean | undefined {
  if (!host.access(dir, 0)) return undefined;
  return host.access(dir, writable);
}

/** Root of the first user namespace; another one's has few rights in the hierarchies. */
export function ownsTheMachine(): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(host.readFile("/proc/self/uid_map", 1 << 16));
}

function programInPath(name: string): string | undefined {
  for (const dir of (envOf("PATH") ?? standardPath).split(":")) {
    const path = `${dir}/${name}`;
    if (dir.startsWith("/") && host.access(path, executable)) return path;
  }
  return undefined;
}
