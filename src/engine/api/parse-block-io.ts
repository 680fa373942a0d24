/** Limits of block devices, as create requests carry them. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { DeviceRate, DeviceWeight, HostConfig } from "../container.ts";
import type { Fields } from "./json-fields.ts";

/** @throws {GantryError} "invalid", worded as dockerd does */
export function parseBlockIo(
  fields: Fields,
): Pick<
  HostConfig,
  | "BlkioWeight"
  | "BlkioWeightDevice"
  | "BlkioDeviceReadBps"
  | "BlkioDeviceWriteBps"
  | "BlkioDeviceReadIOps"
  | "BlkioDeviceWriteIOps"
> {
  const rates = (key: string): readonly DeviceRate[] => fields.list(key).map(parseRate);
  return {
    BlkioWeight: parseBlkioWeight(fields),
    BlkioWeightDevice: fields.list("BlkioWeightDevice").map(parseWeight),
    BlkioDeviceReadBps: rates("BlkioDeviceReadBps"),
    BlkioDeviceWriteBps: rates("BlkioDeviceWriteBps"),
    BlkioDeviceReadIOps: rates("BlkioDeviceReadIOps"),
    BlkioDeviceWriteIOps: rates("BlkioDeviceWriteIOps"),
  };
}

/** @throws {GantryError} "invalid" outside 10 to 1000; 0 is none */
export function parseBlkioWeight(fields: Fields): number {
  const weight = fields.integer("BlkioWeight");
  if (weight !== 0 && (weight < 10 || weight > 1000))
    throw new GantryError("invalid", "Range of blkio weight is from 10 to 1000");
  return weight;
}

function parseWeight(fields: Fields): DeviceWeight {
  const weight = { Path: fields.string("Path"), Weight: fields.integer("Weight") };
  if (weight.Weight !== 0 && (weight.Weight < 10 || weight.Weight > 1000))
    throw new GantryError("invalid", `invalid weight for device: ${weight.Path}:${weight.Weight}`, {
      hint: "weights go from 10 to 1000",
    });
  return weight;
}

function parseRate(fields: Fields): DeviceRate {
  const rate = { Path: fields.string("Path"), Rate: fields.integer("Rate") };
  if (rate.Rate < 0) throw new GantryError("invalid", `invalid rate for device: ${rate.Path}:${rate.Rate}`);
  return rate;
}
