/** What `update` is asked for: its flags, or a file of OCI resources, as OCI resources. Pure. */
import { GantryError, messageOf } from "../../lib/index.ts";
import type { OciCpu, OciMemory, OciResources } from "../oci-types.ts";
import type { ParsedFlags } from "./flags.ts";
import { parseBytes } from "./size-words.ts";

/**
 * The resources that the flags name.
 * @throws {GantryError} "invalid" naming the flag
 */
export function resourcesOfFlags(flags: ParsedFlags): OciResources {
  const weight = number(flags, "blkio-weight", false);
  const pids = number(flags, "pids-limit", true);
  const memory = memoryOf(flags);
  const cpu = cpuOf(flags);
  return {
    ...(memory === undefined ? {} : { memory }),
    ...(cpu === undefined ? {} : { cpu }),
    // A limit of no process at all cannot be: runc means one.
    ...(pids === undefined ? {} : { pids: { limit: pids === 0 ? 1 : pids } }),
    ...(weight === undefined || weight === 0 ? {} : { blockIO: { weight } }),
  };
}

function memoryOf(flags: ParsedFlags): OciMemory | undefined {
  const memory = {
    ...named("limit", bytes(flags, "memory")),
    ...named("reservation", bytes(flags, "memory-reservation")),
    ...named("swap", bytes(flags, "memory-swap")),
    ...named("kernel", bytes(flags, "kernel-memory")),
    ...named("kernelTCP", bytes(flags, "kernel-memory-tcp")),
  };
  return Object.keys(memory).length === 0 ? undefined : memory;
}

function cpuOf(flags: ParsedFlags): OciCpu | undefined {
  const cpu = {
    ...named("shares", number(flags, "cpu-share", false)),
    ...named("quota", number(flags, "cpu-quota", true)),
    ...named("burst", number(flags, "cpu-burst", false)),
    ...named("period", number(flags, "cpu-period", false)),
    ...named("realtimeRuntime", number(flags, "cpu-rt-runtime", true)),
    ...named("realtimePeriod", number(flags, "cpu-rt-period", false)),
    ...named("cpus", given(flags, "cpuset-cpus")),
    ...named("mems", given(flags, "cpuset-mems")),
    ...named("idle", number(flags, "cpu-idle", true)),
  };
  return Object.keys(cpu).length === 0 ? undefined : cpu;
}

function named<Name extends string, Value>(name: Name, value: Value | undefined): { [key in Name]?: Value } {
  return (value === undefined ? {} : { [name]: value }) as { [key in Name]?: Value };
}

/** An empty value counts as not given, as in runc. */
function given(flags: ParsedFlags, flag: string): string | undefined {
  const value = flags.text(flag) ?? "";
  return value === "" ? undefined : value;
}

function number(flags: ParsedFlags, flag: string, signed: boolean): number | undefined {
  const word = given(flags, flag);
  if (word === undefined) return undefined;
  const value = Number(word);
  if (!(signed ? /^[+-]?[0-9]+$/ : /^[0-9]+$/).test(word) || !Number.isSafeInteger(value))
    throw new GantryError(
      "invalid",
      `invalid value for ${flag}: parsing ${JSON.stringify(word)}: invalid syntax`,
      {
        hint: signed ? "give a whole number, such as -1 or 20" : "give a whole number, such as 20",
      },
    );
  return value;
}

function bytes(flags: ParsedFlags, flag: string): number | undefined {
  const word = given(flags, flag);
  if (word === undefined) return undefined;
  if (word === "-1") return -1;
  try {
    return parseBytes(word);
  } catch (error) {
    const hint = error instanceof GantryError ? error.hint : undefined;
    throw new GantryError("invalid", `invalid value for ${flag}: ${messageOf(error)}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** The fields whose names Go reads in any case, such as `CPU` for `cpu`; below `unified` and `rdma` names are data. */
const fields = [
  "memory limit reservation swap kernel kernelTCP swappiness disableOOMKiller useHierarchy checkBeforeUpdate",
  "cpu shares quota burst period realtimeRuntime realtimePeriod cpus mems idle",
  "pids blockIO weight leafWeight weightDevice throttleReadBpsDevice throttleWriteBpsDevice",
  "throttleReadIOPSDevice throttleWriteIOPSDevice major minor rate hugepageLimits pageSize network classID",
  "priorities name priority rdma unified devices",
]
  .join(" ")
  .split(" ");
const byLowerCase = new Map(fields.map((name) => [name.toLowerCase(), name]));

/** A JSON text as resources, unchecked; names in the spelling of the specification, `null` left out. */
export function parseResources(source: string, where: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    throw new GantryError("invalid", `${where} is not valid JSON: ${messageOf(error)}`, { cause: error });
  }
  const resources = withSpecNames(value, true);
  if (typeof resources !== "object" || resources === null || Array.isArray(resources))
    throw new GantryError("invalid", `${where}: must be an object such as {"memory": {"limit": 33554432}}`);
  return resources as Readonly<Record<string, unknown>>;
}

function withSpecNames(value: unknown, fold: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => withSpecNames(item, fold));
  if (typeof value !== "object" || value === null) return value;
  const renamed: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    const name = fold ? (byLowerCase.get(key.toLowerCase()) ?? key) : key;
    if (inner !== null) renamed[name] = withSpecNames(inner, fold && name !== "unified" && name !== "rdma");
  }
  return renamed;
}
