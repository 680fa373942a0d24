/** `--blkio-weight-device`, `--device-read-bps` and their like. Pure. */
import { FlagError } from "../errors.ts";
import { parseBytes } from "../flags/flag.ts";

/** `/dev/sda:VALUE`. @throws {FlagError} with docker's words */
function split(text: string): readonly [path: string, value: string] {
  const at = text.indexOf(":");
  if (at < 0) throw new FlagError(`bad format: ${text}`);
  if (!text.startsWith("/dev/")) throw new FlagError(`bad format for device path: ${text}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

export function parseDeviceWeight(text: string): { readonly Path: string; readonly Weight: number } {
  const [Path, value] = split(text);
  const Weight = /^\d{1,5}$/.test(value) ? Number(value) : NaN;
  if (Weight === 0 || (Weight >= 10 && Weight <= 1000)) return { Path, Weight };
  throw new FlagError(`invalid weight for device: ${text}`);
}

export interface DeviceRate {
  readonly Path: string;
  readonly Rate: number;
}

const rateForm = "The correct format is <device-path>:<number>";

export function parseByteRate(text: string): DeviceRate {
  const [Path, value] = split(text);
  try {
    return { Path, Rate: parseBytes(value) };
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    throw new FlagError(
      `invalid rate for device: ${text}. ${rateForm}[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb`,
    );
  }
}

export function parseOperationRate(text: string): DeviceRate {
  const [Path, value] = split(text);
  if (/^\d{1,15}$/.test(value)) return { Path, Rate: Number(value) };
  throw new FlagError(`invalid rate for device: ${text}. ${rateForm}. Number must be a positive integer`);
}

/** Checks the text of a flag by its parser and keeps it. */
export function checkedBy(parse: (text: string) => unknown): (text: string) => string {
  return (text) => {
    parse(text);
    return text;
  };
}
