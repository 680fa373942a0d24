/** linux.resources.blockIO for both kernel interfaces. Pure. */
import type { LimitPart } from "./limit-write.ts";
import type { OciBlockIo } from "./oci-types.ts";

export function blockIoV1(io: OciBlockIo, part: LimitPart): void {
  // The name is that of the scheduler: CFQ's until 4.20, BFQ's since.
  const write = (file: string, bfq: string, value: string | number): void =>
    part.write("blkio", file, value, { otherwise: [{ file: bfq, value: String(value) }] });
  if (io.weight !== undefined && io.weight !== 0) write("blkio.weight", "blkio.bfq.weight", io.weight);
  if (io.leafWeight !== 0) part.write("blkio", "blkio.leaf_weight", io.leafWeight);
  for (const { major, minor, weight, leafWeight } of io.weightDevice ?? []) {
    if (weight !== undefined && weight !== 0)
      write("blkio.weight_device", "blkio.bfq.weight_device", `${major}:${minor} ${weight}`);
    if (leafWeight !== undefined && leafWeight !== 0)
      part.write("blkio", "blkio.leaf_weight_device", `${major}:${minor} ${leafWeight}`);
  }
  for (const [file, devices] of [
    ["read_bps_device", io.throttleReadBpsDevice],
    ["write_bps_device", io.throttleWriteBpsDevice],
    ["read_iops_device", io.throttleReadIOPSDevice],
    ["write_iops_device", io.throttleWriteIOPSDevice],
  ] as const)
    for (const { major, minor, rate } of devices ?? [])
      part.write("blkio", `blkio.throttle.${file}`, `${major}:${minor} ${rate}`);
}

/** BFQ takes OCI's own scale where its scheduler is in use; the kernel's io.weight has another. */
export function blockIoV2(io: OciBlockIo, part: LimitPart): void {
  if (io.weight !== undefined && io.weight !== 0)
    part.write("io", "io.bfq.weight", io.weight, {
      otherwise: [{ file: "io.weight", value: `default ${ioWeight(io.weight)}` }],
    });
  if ((io.leafWeight ?? 0) !== 0)
    part.lacks("leafWeight", "cgroup v2 has no weight of a cgroup's own processes");
  for (const { major, minor, weight, leafWeight } of io.weightDevice ?? []) {
    if (weight !== undefined && weight !== 0)
      part.write("io", "io.bfq.weight", `${major}:${minor} ${weight}`, {
        otherwise: [{ file: "io.weight", value: `${major}:${minor} ${ioWeight(weight)}` }],
      });
    if ((leafWeight ?? 0) !== 0)
      part.lacks("weightDevice", "cgroup v2 has no leafWeight, a weight of a cgroup's own processes");
  }
  for (const [key, devices] of [
    ["rbps", io.throttleReadBpsDevice],
    ["wbps", io.throttleWriteBpsDevice],
    ["riops", io.throttleReadIOPSDevice],
    ["wiops", io.throttleWriteIOPSDevice],
  ] as const)
    for (const { major, minor, rate } of devices ?? [])
      part.write("io", "io.max", `${major}:${minor} ${key}=${rate === 0 ? "max" : rate}`);
}

/** blkio.weight 10 … 1000 as io.weight 1 … 10000. */
export function ioWeight(weight: number): number {
  return Math.floor(1 + ((weight - 10) * 9999) / 990);
}
