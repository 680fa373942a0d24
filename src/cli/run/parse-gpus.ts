/** `--gpus all`, `--gpus 2`, `--gpus '"device=0,1",capabilities=utility'`. Pure. */
import { FlagError } from "../errors.ts";
import { parseCsv } from "../flags/csv.ts";
import { pairsToMap } from "../flags/pairs.ts";

export interface DeviceRequest {
  Driver: string;
  Count: number;
  DeviceIDs: readonly string[] | null;
  Capabilities: readonly (readonly string[])[];
  Options: Readonly<Record<string, string>>;
}

type Setter = (request: DeviceRequest, value: string) => void;

const setters: Readonly<Record<string, Setter>> = {
  driver: (request, value) => void (request.Driver = value),
  count: (request, value) => void (request.Count = parseCount(value)),
  device: (request, value) => void (request.DeviceIDs = value.split(",")),
  capabilities: (request, value) => void (request.Capabilities = [[...value.split(","), "gpu"]]),
  options: (request, value) => void (request.Options = pairsToMap(value.split(","))),
};

/** @throws {FlagError} with docker's words */
export function parseGpus(text: string): DeviceRequest {
  const fields = parseCsv(text);
  if (text === "") throw new FlagError("EOF");
  const request = { Driver: "", Count: 0, DeviceIDs: null, Capabilities: [["gpu"]], Options: {} };
  const seen = new Set<string>();
  for (const field of fields) {
    const at = field.indexOf("=");
    // A bare value is the count.
    const key = at < 0 ? "count" : field.slice(0, at);
    if (seen.has(key)) throw new FlagError(`gpu request key '${key}' can be specified only once`);
    seen.add(key);
    if (!Object.hasOwn(setters, key)) throw new FlagError(`unexpected key '${key}' in '${field}'`);
    setters[key]?.(request, at < 0 ? field : field.slice(at + 1));
  }
  if (!seen.has("count") && request.DeviceIDs === null) request.Count = 1;
  return request;
}

function parseCount(text: string): number {
  if (text === "all") return -1;
  if (/^[+-]?\d{1,9}$/.test(text)) return Number(text);
  throw new FlagError(`invalid count (${text}): value must be either "all" or an integer: invalid syntax`);
}
