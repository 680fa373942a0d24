/** linux.intelRdt: the container's group of the resctrl file system (the kernel's x86/resctrl documentation). Pure. */
import { GantryError } from "../lib/index.ts";
import type { OciIntelRdt } from "./oci-types.ts";
import type { Because } from "./plan-input.ts";
import type { ContainerStep, MonitorStep } from "./plan-step.ts";

export interface RdtInput {
  readonly rdt: OciIntelRdt | undefined;
  readonly id: string;
  readonly because: Because;
  /** Undefined when the file is not there. */
  readonly readText: (path: string) => string | undefined;
}

export interface RdtSteps {
  readonly before: readonly MonitorStep[];
  readonly enter: readonly ContainerStep[];
  readonly teardown: readonly MonitorStep[];
}

const none: RdtSteps = { before: [], enter: [], teardown: [] };
const at = "linux.intelRdt";

/**
 * The group is named by closID, else by the container's id. Only the latter is removed at the end: a named one belongs to
 * who named it. A group without any schema must be there already.
 * @throws {GantryError} "unsupported" when resctrl is not mounted or lacks what is asked for, "invalid" for a closID that is
 * no name, "not-found" when the group should be there and is not
 */
export function planRdt({ rdt, id, because, readText }: RdtInput): RdtSteps {
  if (rdt === undefined || Object.keys(rdt).length === 0) return none;
  const root = resctrlMount(readText("/proc/self/mountinfo") ?? "");
  if (root === undefined)
    throw new GantryError("unsupported", `${at}: no resctrl file system is mounted`, {
      hint: "the processor and the kernel must offer it: mount -t resctrl resctrl /sys/fs/resctrl",
      fields: { path: at },
    });
  const closId = rdt.closID ?? "";
  refuseName(closId);
  const schemas = schemasOf(rdt);
  for (const { field, line } of schemas) refuseMissing(root, field, line, readText);
  const isRoot = closId === "/";
  const group = isRoot ? root : `${root}/${closId === "" ? id : closId}`;
  if (closId !== "" && schemas.length === 0 && readText(`${group}/schemata`) === undefined)
    throw new GantryError("not-found", `${at}.closID: there is no group ${group}`, {
      hint: "make it first, or give l3CacheSchema, memBwSchema or schemata",
      fields: { path: `${at}.closID` },
    });
  const words = because("the share of caches and memory bandwidth", at);
  const monitored = rdt.enableMonitoring === true ? `${group}/mon_groups/${id}` : undefined;
  const dirs = [...(isRoot ? [] : [group]), ...(monitored === undefined ? [] : [monitored])];
  const made = (dir: string): boolean => dir === monitored || closId === "";
  return {
    before: [
      ...dirs.map((path): MonitorStep => ({
        do: "make-dir",
        path,
        mode: 0o755,
        parents: false,
        because: words,
      })),
      ...schemas.map(({ line }): MonitorStep => ({
        do: "write-file",
        path: `${group}/schemata`,
        data: `${line}\n`,
        because: words,
      })),
    ],
    enter: [group, ...(monitored === undefined ? [] : [monitored])].map((dir) => ({
      do: "enter-cgroup",
      dir,
      because: words,
    })),
    teardown: dirs
      .filter(made)
      .reverse()
      .map((dir) => ({ do: "remove-cgroup", dir, because: words })),
  };
}

/** Where resctrl is mounted; undefined when it is not. */
export function resctrlMount(mountinfo: string): string | undefined {
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ", 2);
    if (after.startsWith("resctrl ")) return before.split(" ")[4];
  }
  return undefined;
}

function refuseName(closId: string): void {
  if (closId === "/" || closId === "") return;
  if (!closId.includes("/") && closId !== "." && closId !== "..") return;
  throw new GantryError("invalid", `${at}.closID: ${JSON.stringify(closId)} is not the name of a directory`, {
    fields: { path: `${at}.closID` },
  });
}

interface Schema {
  readonly field: string;
  readonly line: string;
}

function schemasOf(rdt: OciIntelRdt): readonly Schema[] {
  const lines = (field: string, text: string | undefined): readonly Schema[] =>
    (text ?? "")
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "")
      .map((line) => ({ field: `${at}.${field}`, line }));
  return [
    ...lines("l3CacheSchema", rdt.l3CacheSchema),
    ...lines("memBwSchema", rdt.memBwSchema),
    ...(rdt.schemata ?? []).flatMap((line, index) => lines(`schemata[${index}]`, line)),
  ];
}

/** A line such as `L3:0=ff` needs what info/L3 describes. */
function refuseMissing(root: string, field: string, line: string, readText: RdtInput["readText"]): void {
  const colon = line.indexOf(":");
  const resource = line.slice(0, Math.max(0, colon)).trim();
  if (resource === "")
    throw new GantryError("invalid", `${field}: ${JSON.stringify(line)} is not RESOURCE:DOMAIN=SHARE`, {
      hint: "write it as in the file schemata of resctrl, such as L3:0=ff;1=ff",
      fields: { path: field },
    });
  if (readText(`${root}/info/${resource}/num_closids`) !== undefined) return;
  throw new GantryError("unsupported", `${field}: this machine cannot share out ${resource}`, {
    hint: `what it can is listed in ${root}/info`,
    fields: { path: field },
  });
}
