/** The cache and memory bandwidth shares of a container: resctrl groups of the kernel's x86/resctrl documentation. */
import { GantryError, toGantryError } from "../../lib/index.ts";
import type { OciConfig } from "../oci-types.ts";
import { resctrlMount } from "../plan-rdt.ts";
import { figure } from "./cgroup-figures.ts";
import { hostCgroupIo, tryReadText } from "./host-cgroups.ts";
import type { Json } from "./json-text.ts";

/** Lines for the file `schemata`; undefined: left as they are. */
export interface CacheSchemas {
  readonly l3: string | undefined;
  readonly bandwidth: string | undefined;
}

function mount(): string | undefined {
  return resctrlMount(tryReadText("/proc/self/mountinfo") ?? "");
}

/** The container's group: its closID, or its id. "/" is the root group, which is everybody's. */
function groupDir(root: string, config: OciConfig, id: string): string {
  const closId = config.linux?.intelRdt?.closID;
  const name = closId === undefined || closId === "" ? id : closId;
  return name === "/" ? root : `${root}/${name}`;
}

/**
 * The directory to write new schemas to; undefined when none are asked for.
 * @throws {GantryError} "unsupported" when the machine has no such control, "conflict" when the container has no group
 */
export function findRdtGroup(config: OciConfig, id: string, schemas: CacheSchemas): string | undefined {
  const asksL3 = (schemas.l3 ?? "") !== "";
  const asksBandwidth = (schemas.bandwidth ?? "") !== "";
  if (!asksL3 && !asksBandwidth) return undefined;
  const root = mount();
  const has = (resource: string): boolean => root !== undefined && host.access(`${root}/info/${resource}`, 0);
  const hint =
    "the processor and the kernel must offer it, and resctrl be mounted: mount -t resctrl resctrl /sys/fs/resctrl";
  if (asksL3 && !has("L3") && !has("L3CODE"))
    throw new GantryError("unsupported", "Intel RDT/CAT: l3 cache schema is not enabled", { hint });
  if (root === undefined || (asksBandwidth && !has("MB")))
    throw new GantryError("unsupported", "Intel RDT/MBA: memory bandwidth schema is not enabled", { hint });
  if (config.linux?.intelRdt === undefined)
    throw new GantryError("conflict", "updating a non-existent Intel RDT configuration is not supported", {
      hint: "create the container with linux.intelRdt in its config",
    });
  return groupDir(root, config, id);
}

/**
 * Writes schemas and returns what was there before.
 * @throws {GantryError} when the kernel refuses one; resctrl's own words are its cause
 */
export function writeSchemas(group: string, schemas: CacheSchemas): CacheSchemas {
  const file = `${group}/schemata`;
  const before = tryReadText(file) ?? "";
  const lines = [schemas.l3 ?? "", schemas.bandwidth ?? ""].filter((line) => line !== "");
  try {
    if (lines.length > 0) hostCgroupIo.write(file, `${lines.join("\n")}\n`);
  } catch (error) {
    const why = (tryReadText(`${group.slice(0, group.lastIndexOf("/"))}/info/last_cmd_status`) ?? "").trim();
    throw toGantryError(
      error,
      `write ${JSON.stringify(lines.join("\n"))} to ${file}${why === "" ? "" : ` (${why})`}`,
    );
  }
  return { l3: schemaLine(before, "L3"), bandwidth: schemaLine(before, "MB") };
}

/** The line of one resource, such as `L3:0=fffff`. Pure. */
export function schemaLine(schemata: string, resource: string): string | undefined {
  return schemata
    .split("\n")
    .map((line) => line.trim())
    .find((line) => line.startsWith(`${resource}:`));
}

/** What `events` shows of them; undefined when the container has no group, or the machine no resctrl. */
export function rdtFigures(
  config: OciConfig,
  id: string,
): { readonly [key: string]: Json | undefined } | undefined {
  const root = mount();
  if (config.linux?.intelRdt === undefined || root === undefined) return undefined;
  const group = groupDir(root, config, id);
  const own = tryReadText(`${group}/schemata`) ?? "";
  const all = tryReadText(`${root}/schemata`) ?? "";
  const info = (file: string): string | undefined => tryReadText(`${root}/info/${file}`)?.trim();
  const value = (file: string): Json => figure(info(file));
  // A monitoring group of the container's own counts it alone, its class everybody who shares it.
  const counts = config.linux.intelRdt.enableMonitoring === true ? `${group}/mon_groups/${id}` : group;
  const monitored = monitorFigures(counts);
  return {
    l3_cache_info:
      info("L3/cbm_mask") === undefined
        ? undefined
        : {
            cbm_mask: info("L3/cbm_mask"),
            min_cbm_bits: value("L3/min_cbm_bits"),
            num_closids: value("L3/num_closids"),
          },
    l3_cache_schema_root: schemaLine(all, "L3"),
    l3_cache_schema: schemaLine(own, "L3"),
    mem_bw_info:
      info("MB/min_bandwidth") === undefined
        ? undefined
        : {
            bandwidth_gran: value("MB/bandwidth_gran"),
            delay_linear: value("MB/delay_linear"),
            min_bandwidth: value("MB/min_bandwidth"),
            num_closids: value("MB/num_closids"),
          },
    mem_bw_schema_root: schemaLine(all, "MB"),
    mem_bw_schema: schemaLine(own, "MB"),
    schemata:
      own === ""
        ? undefined
        : own
            .split("\n")
            .filter((line) => line !== "")
            .map((line) => line.trim()),
    ...monitored,
  };
}

/** One entry a cache: what the hardware counted of the group's traffic and of its share of the cache. */
function monitorFigures(group: string): { readonly [key: string]: Json | undefined } {
  const nodes = hostCgroupIo.list(`${group}/mon_data`)?.filter((name) => name.startsWith("mon_L3_")) ?? [];
  const bandwidth: Json[] = [];
  const occupancy: Json[] = [];
  for (const node of [...nodes].sort()) {
    const read = (file: string): string | undefined => tryReadText(`${group}/mon_data/${node}/${file}`);
    const total = read("mbm_total_bytes");
    const used = read("llc_occupancy");
    if (total !== undefined)
      bandwidth.push({ mbm_total_bytes: figure(total), mbm_local_bytes: figure(read("mbm_local_bytes")) });
    if (used !== undefined) occupancy.push({ llc_occupancy: figure(used) });
  }
  return {
    mbm_stats: bandwidth.length === 0 ? undefined : bandwidth,
    cmt_stats: occupancy.length === 0 ? undefined : occupancy,
  };
}
