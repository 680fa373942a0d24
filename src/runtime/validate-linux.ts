/** The `linux` part of a config.json (runtime-spec config-linux.md) without its resources and seccomp. Pure. */
import {
  absolutePath,
  all,
  boolean,
  type Checked,
  filled,
  findTwice,
  integer,
  listOf,
  mapOf,
  matching,
  object,
  oneOf,
  type Rule,
  text,
} from "./config-checks.ts";
import { parsePropagation } from "./mount-options.ts";
import { id } from "./validate-process.ts";
import { resources } from "./validate-resources.ts";
import { seccomp } from "./validate-seccomp.ts";

const namespaces = all(
  listOf(
    object(
      {
        type: oneOf(["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"]),
        path: (at) => at.value === "" || absolutePath(at),
      },
      ["type"],
    ),
  ),
  (at) => {
    findTwice(at, "type");
    return true;
  },
);

/** The kernel's limit of lines in uid_map. */
const maxMappings = 340;

const mapping = object(
  { containerID: id, hostID: id, size: integer(1, 0xffff_ffff) },
  ["containerID", "hostID", "size"],
  (at) => {
    const size = at.field("size").number ?? 0;
    for (const side of ["containerID", "hostID"])
      if ((at.field(side).number ?? 0) + size > 2 ** 32) at.found(`${side} and size lead beyond the last id`);
  },
);

/** Of user namespaces and of id-mapped mounts. */
export const mappings: Rule = all(listOf(mapping), (at) => {
  const { items } = at;
  if (items.length > maxMappings) return at.found(`must have at most ${maxMappings} entries`);
  for (const side of ["containerID", "hostID"]) findOverlap(items, side);
  return true;
});

function findOverlap(items: readonly Checked[], side: string): void {
  const ranges = items
    .map((item) => ({ item, from: item.field(side).number ?? 0, size: item.field("size").number ?? 0 }))
    .sort((one, other) => one.from - other.from);
  ranges.forEach(({ item, from }, index) => {
    const before = ranges[index - 1];
    if (before !== undefined && from < before.from + before.size)
      item.field(side).found("overlaps with another entry");
  });
}

const device = object(
  {
    path: absolutePath,
    type: oneOf(["c", "b", "u", "p"]),
    major: integer(0, 0xfff),
    minor: integer(0, 0xf_ffff),
    fileMode: integer(0, 0o177777),
    uid: id,
    gid: id,
  },
  ["path", "type"],
  (at) => {
    if (at.field("type").value === "p") return;
    for (const name of ["major", "minor"]) if (at.field(name).isMissing) at.field(name).found("is required");
  },
);

const timeOffset = object({ secs: integer(-(2 ** 63), 2 ** 63), nanosecs: integer(0, 999_999_999) });

const timeOffsets: Rule = all(mapOf(timeOffset), (at) => {
  for (const key of at.keys)
    if (key !== "boottime" && key !== "monotonic") at.field(key).found("must be monotonic or boottime");
  return true;
});

const oneLine = matching(/^[^\n]*$/, "a single line");

const intelRdt = object({
  closID: all(filled, (at) =>
    at.value === "/" || !(/[/\n]/.test(at.text) || /^\.\.?$/.test(at.text))
      ? true
      : at.found("must be a name without slashes, or / alone"),
  ),
  schemata: listOf(oneLine),
  l3CacheSchema: text,
  memBwSchema: matching(/^(MB:[^\n]*)?$/, "a single line that begins with MB:"),
  enableMonitoring: boolean,
});

const withoutNodes = ["MPOL_DEFAULT", "MPOL_LOCAL"];
const withNodes = ["MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE", "MPOL_PREFERRED_MANY"];

const memoryModes = [...withoutNodes, ...withNodes, "MPOL_PREFERRED"];
const memoryFlags = ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];
/** MAX_NUMNODES of any kernel. */
const mostNodes = 1024;

const memoryPolicy = object(
  {
    mode: named(memoryModes, "mode"),
    nodes: (at) =>
      countNodes(at.text) !== undefined ||
      at.found("invalid memory policy nodes; must be a list such as 0-2,4"),
    flags: listOf(named(memoryFlags, "flag")),
  },
  [],
  (at) => {
    const mode = at.field("mode").text;
    const nodes = at.field("nodes");
    const count = countNodes(nodes.text) ?? 0;
    const flags = at.field("flags").items.map(({ value }) => value);
    if (at.field("mode").isMissing) at.field("mode").found("invalid memory policy mode; is required");
    if (withoutNodes.includes(mode) && count > 0)
      nodes.found(`memory policy mode requires 0 nodes but got ${count}`);
    if (withNodes.includes(mode) && nodes.text === "") nodes.found(`is required for ${mode}`);
    if (flags.includes("MPOL_F_RELATIVE_NODES") && flags.includes("MPOL_F_STATIC_NODES"))
      at.field("flags").found("must not hold both MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES");
  },
);

/** runc's words, and what would be right. */
function named(words: readonly string[], what: string): Rule {
  return (at) =>
    words.includes(at.text) || at.found(`invalid memory policy ${what}; must be one of: ${words.join(", ")}`);
}

/** How many nodes a list names; undefined when it is none. */
function countNodes(list: string): number | undefined {
  let count = 0;
  for (const part of list.trim() === "" ? [] : list.trim().split(",")) {
    const [, low = "", high = low] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (low === "" || Number(high) >= mostNodes || Number(high) < Number(low)) return undefined;
    count += Number(high) - Number(low) + 1;
  }
  return count;
}

const interfaceName = matching(
  /^(?!\.\.?$)[^/:\s]{1,15}$/,
  "a name of at most 15 characters without / : and blanks",
);

const netDevices: Rule = all(mapOf(object({ name: (at) => at.value === "" || interfaceName(at) })), (at) => {
  const names = new Set<string>();
  for (const key of at.keys) {
    if (!/^(?!\.\.?$)[^/:\s]{1,15}$/.test(key)) at.field(key).found("is not the name of a network device");
    const name = at.field(key).field("name").text || key;
    // The kernel fills in a number for %d.
    if (names.has(name) && !name.includes("%d"))
      at.field(key).found(`is the second device that is called ${name}`);
    names.add(name);
  }
  return true;
});

const sysctls: Rule = all(mapOf(text), (at) => {
  for (const key of at.keys)
    if (!/^[a-zA-Z0-9_-]+([./][a-zA-Z0-9_-]+)+$/.test(key))
      at.field(key).found("is not a kernel setting's name");
  return true;
});

export const linux: Rule = object({
  namespaces,
  uidMappings: mappings,
  gidMappings: mappings,
  timeOffsets,
  devices: listOf(device),
  netDevices,
  cgroupsPath: all(text, (at) => !at.text.split("/").includes("..") || at.found("must not hold ..")),
  resources,
  intelRdt,
  memoryPolicy,
  sysctl: sysctls,
  seccomp,
  rootfsPropagation: all(text, (at) =>
    at.value === "" || parsePropagation(at.text) !== undefined
      ? true
      : at.found("must be one of: private, slave, shared, unbindable, or with r before"),
  ),
  maskedPaths: listOf(absolutePath),
  readonlyPaths: listOf(absolutePath),
  mountLabel: text,
  personality: object(
    {
      domain: oneOf(["LINUX", "LINUX32"]),
      flags: all(
        listOf(text),
        (at) => at.items.length === 0 || at.found("must be empty: there are none yet"),
      ),
    },
    ["domain"],
  ),
});
