/** Limits of block devices with the numbers that the kernel knows the devices by. */
import { statSync } from "node:fs";
import { GantryError, isErrno, toGantryError } from "../lib/index.ts";
import type { OciBlockIo, OciThrottleDevice } from "../runtime/index.ts";
import type { DeviceRate, HostConfig } from "./container.ts";
import { deviceNumbers } from "./host-devices.ts";

type BlockLimits = Pick<
  HostConfig,
  | "BlkioWeight"
  | "BlkioWeightDevice"
  | "BlkioDeviceReadBps"
  | "BlkioDeviceWriteBps"
  | "BlkioDeviceReadIOps"
  | "BlkioDeviceWriteIOps"
>;

/**
 * Undefined without any limit.
 * @throws {GantryError} "invalid" for a path that is not there
 */
export function blockIo(host: BlockLimits): OciBlockIo | undefined {
  const rates = (list: readonly DeviceRate[]): readonly OciThrottleDevice[] =>
    list.map(({ Path, Rate }) => ({ ...numbersOf(Path), rate: Rate }));
  const asked = {
    ...(host.BlkioWeight === 0 ? {} : { weight: host.BlkioWeight }),
    weightDevice: host.BlkioWeightDevice.map(({ Path, Weight }) => ({ ...numbersOf(Path), weight: Weight })),
    throttleReadBpsDevice: rates(host.BlkioDeviceReadBps),
    throttleWriteBpsDevice: rates(host.BlkioDeviceWriteBps),
    throttleReadIOPSDevice: rates(host.BlkioDeviceReadIOps),
    throttleWriteIOPSDevice: rates(host.BlkioDeviceWriteIOps),
  };
  const isEmpty = Object.values(asked).every((value) => Array.isArray(value) && value.length === 0);
  return isEmpty ? undefined : asked;
}

function numbersOf(path: string): { readonly major: number; readonly minor: number } {
  try {
    return deviceNumbers(statSync(path).rdev);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR")) throw toGantryError(error);
    throw new GantryError("invalid", `stat ${path}: no such file or directory`, {
      cause: error,
      hint: "a limit of block devices names a device of the host, such as /dev/sda",
    });
  }
}
