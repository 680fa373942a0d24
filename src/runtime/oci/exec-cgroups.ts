/** Which cgroups an exec enters: the container's, or those below it that --cgroup names. */
import type { CgroupLayout } from "../../kernel/index.ts";
import { GantryError } from "../../lib/index.ts";
import { cgroupDirs, controllerDir } from "../cgroup-dirs.ts";
import type { CgroupIo } from "../cgroup-io.ts";

/**
 * @param wanted `PATH` for all hierarchies, or `CONTROLLER[,CONTROLLER…]:PATH`
 * @throws {GantryError} "invalid" for what is no such word, "not-found" for a cgroup that does not exist
 */
export function execCgroupDirs(
  io: CgroupIo,
  cgroups: CgroupLayout,
  cgroupsPath: string,
  wanted: readonly string[],
): readonly string[] {
  const below = new Map<string, string>();
  const all = cgroupDirs(io, cgroups, cgroupsPath);
  for (const word of wanted) {
    const { controllers, path } = parseSubCgroup(word, cgroups.kind === "v2");
    const dirs =
      controllers.length === 0 ? all : controllers.map((name) => dirOf(cgroups, name, cgroupsPath, word));
    for (const dir of dirs) below.set(dir, `${dir}${path}`);
  }
  return all.map((dir) => {
    const sub = below.get(dir) ?? dir;
    if (sub !== dir && io.read(`${sub}/cgroup.procs`) === undefined)
      throw new GantryError(
        "not-found",
        `--cgroup: adding pid to ${sub}/cgroup.procs: no such file or directory`,
      );
    return sub;
  });
}

// oxlint-disable-next-line max-params -- one lookup
function dirOf(cgroups: CgroupLayout, controller: string, cgroupsPath: string, word: string): string {
  const dir =
    controllerDir(cgroups, controller, cgroupsPath) ??
    controllerDir(cgroups, `name=${controller}`, cgroupsPath);
  if (dir !== undefined) return dir;
  throw new GantryError(
    "invalid",
    `--cgroup ${word}: unknown controller ${controller}: this machine has no such cgroup controller`,
  );
}

/** The path is absolute or empty, without `..`. Pure. */
export function parseSubCgroup(
  word: string,
  v2: boolean,
): { readonly controllers: readonly string[]; readonly path: string } {
  const at = word.indexOf(":");
  const controllers = at < 0 ? [] : word.slice(0, at).split(",");
  const parts = word
    .slice(at + 1)
    .split("/")
    .filter((part) => part !== "" && part !== ".");
  if (controllers.includes("") || parts.includes(".."))
    throw new GantryError(
      "invalid",
      `bad sub cgroup path: --cgroup: ${JSON.stringify(word)} is not [CONTROLLER:]PATH`,
    );
  if (v2 && controllers.length > 0)
    throw new GantryError("invalid", `--cgroup ${word}: cgroup v2 has no hierarchies of single controllers`, {
      hint: "give the path alone",
    });
  return { controllers, path: parts.map((part) => `/${part}`).join("") };
}

/**
 * v2: a cgroup that has handed controllers to its children holds no processes itself, as one in which a systemd runs. Then
 * exec goes where the container's first process is.
 */
export function roomForProcess(
  io: CgroupIo,
  cgroups: CgroupLayout,
  dirs: readonly string[],
  first: number,
): readonly string[] {
  const [own = ""] = dirs;
  if (cgroups.kind !== "v2" || (io.read(`${own}/cgroup.subtree_control`) ?? "").trim() === "") return dirs;
  const path = /^0::(.*)$/m.exec(io.read(`/proc/${first}/cgroup`) ?? "")?.[1] ?? "";
  const dir = `${cgroups.unified ?? ""}${path}`;
  return dir.startsWith(`${own}/`) ? [dir] : dirs;
}
