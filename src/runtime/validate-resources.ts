/** The limits of a config.json (runtime-spec config-linux.md, "Control groups"). Pure. */
import {
  all,
  boolean,
  type Checked,
  filled,
  findTwice,
  int64,
  integer,
  listOf,
  mapOf,
  matching,
  numberList,
  object,
  oneOf,
  type Rule,
  text,
  uint32,
  uint64,
} from "./config-checks.ts";
import type { OciResources } from "./oci-types.ts";
import { validatePart } from "./validate-part.ts";

const deviceNumber = { major: integer(-1, 0xfff), minor: integer(-1, 0xf_ffff) };

const deviceRule = object(
  {
    allow: boolean,
    type: oneOf(["a", "b", "c", ""]),
    ...deviceNumber,
    // runc passes over an "a", which some configs have for "all".
    access: matching(/^[rwma]*$/, "made of r, w and m"),
  },
  ["allow"],
);

/** Bytes, -1 for no limit. */
const bytes = integer(-1, 2 ** 63);

const memory = object(
  {
    limit: bytes,
    reservation: bytes,
    swap: bytes,
    kernel: bytes,
    kernelTCP: bytes,
    swappiness: integer(0, 100),
    disableOOMKiller: boolean,
    useHierarchy: boolean,
    checkBeforeUpdate: boolean,
  },
  [],
  (at) => {
    const limit = at.field("limit").number ?? 0;
    const swap = at.field("swap").number ?? 0;
    if (swap <= 0) return;
    if (limit <= 0) at.field("swap").found("needs a memory limit");
    else if (swap < limit)
      at.field("swap").found("is memory plus swap, and must not be below the memory limit");
  },
);

/** 0 is unset. The kernel takes periods from 1 ms to 1 s, and quotas from 1 ms. */
const orZero =
  (rule: Rule): Rule =>
  (at) =>
    at.value === 0 || rule(at);
const period = orZero(integer(1000, 1_000_000));

const cpu = object(
  {
    shares: uint64,
    quota: (at) => at.value === -1 || orZero(integer(1000, 2 ** 63))(at),
    burst: uint64,
    period,
    realtimeRuntime: integer(-1, 2 ** 63),
    realtimePeriod: uint64,
    cpus: numberList,
    mems: numberList,
    idle: integer(0, 1),
  },
  [],
  (at) => {
    const quota = at.field("quota").number ?? 0;
    const burst = at.field("burst").number ?? 0;
    if (quota > 0 && burst > quota) at.field("burst").found("must not be above the quota");
    const runtime = at.field("realtimeRuntime").number ?? 0;
    const realtime = at.field("realtimePeriod").number ?? 0;
    if (realtime > 0 && runtime > realtime)
      at.field("realtimeRuntime").found("must not be above the realtimePeriod");
  },
);

const weight = orZero(integer(10, 1000));
const device = { major: integer(0, 0xfff), minor: integer(0, 0xf_ffff) };
const throttles = listOf(object({ ...device, rate: uint64 }, ["major", "minor", "rate"]));

const blockIo = object({
  weight,
  leafWeight: weight,
  weightDevice: listOf(
    object({ ...device, weight, leafWeight: weight }, ["major", "minor"], (at) => {
      if (at.field("weight").isMissing && at.field("leafWeight").isMissing)
        at.found("needs a weight or a leafWeight");
    }),
  ),
  throttleReadBpsDevice: throttles,
  throttleWriteBpsDevice: throttles,
  throttleReadIOPSDevice: throttles,
  throttleWriteIOPSDevice: throttles,
});

const hugepages = all(
  listOf(
    object({ pageSize: matching(/^[1-9][0-9]*[KMG]B$/, "a page size such as 2MB"), limit: uint64 }, [
      "pageSize",
      "limit",
    ]),
  ),
  (at) => {
    findTwice(at, "pageSize");
    return true;
  },
);

const network = object({
  classID: uint32,
  priorities: all(listOf(object({ name: filled, priority: uint32 }, ["name", "priority"])), (at) => {
    findTwice(at, "name");
    return true;
  }),
});

const rdma = mapOf(
  object({ hcaHandles: uint32, hcaObjects: uint32 }, [], (at) => {
    if (at.field("hcaHandles").isMissing && at.field("hcaObjects").isMissing)
      at.found("needs hcaHandles or hcaObjects");
  }),
);

/** What a name may not be: a path, or without a controller before its dot. */
function checkUnified(at: Checked): boolean {
  for (const key of at.keys)
    if (!/^[a-z0-9_]+(\.[A-Za-z0-9_-]+)+$/.test(key)) at.field(key).found("is not the name of a cgroup file");
  return true;
}

export const resources: Rule = object({
  devices: listOf(deviceRule),
  memory,
  cpu,
  // Below 0 is unlimited; the kernel's numbers of processes end there.
  pids: object({ limit: (at) => int64(at) && ((at.number ?? 0) < 0 || integer(0, 4_194_304)(at)) }),
  blockIO: blockIo,
  hugepageLimits: hugepages,
  network,
  rdma,
  unified: all(mapOf(text), checkUnified),
});

/** As validateConfig, for resources alone (`update`). `path` is put before what findings name. */
export function validateResources(value: unknown, path: string): OciResources {
  return validatePart(value, path, resources) as OciResources;
}
