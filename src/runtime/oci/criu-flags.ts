/** The flags of checkpoint and restore, and what they ask of CRIU. Pure. */
import { GantryError } from "../../lib/index.ts";
import { commands } from "./commands.ts";
import type { ParsedFlags } from "./flags.ts";

export interface CriuOptions {
  readonly imagePath: string;
  /** Where logs are written; undefined: beside the images. */
  readonly workPath: string | undefined;
  /** Relative to imagePath: the images of an earlier pre-dump. */
  readonly parentPath: string | undefined;
  readonly cgroupsMode: string;
  readonly pageServer: { readonly address: string; readonly port: number } | undefined;
  /** An fd of ours that CRIU writes to once pages can be fetched. */
  readonly statusFd: number | undefined;
  readonly lsmProfile: string | undefined;
  readonly lsmMountContext: string | undefined;
  /** Flags without a value that are set. */
  readonly set: ReadonlySet<string>;
}

const cgroupsModes = ["soft", "full", "strict", "ignore"];
const switches = Object.entries({ ...commands["checkpoint"]?.flags, ...commands["restore"]?.flags })
  .filter(([, { kind }]) => kind === "bool")
  .map(([name]) => name);

/** @throws {GantryError} "invalid" naming the flag, in runc's words */
export function criuOptions(flags: ParsedFlags): CriuOptions {
  const parentPath = given(flags, "parent-path");
  if (parentPath?.startsWith("/") === true)
    throw new GantryError("invalid", "--parent-path must be relative", {
      hint: "it is below --image-path, such as ../before",
    });
  const cgroupsMode = given(flags, "manage-cgroups-mode") ?? "soft";
  if (!cgroupsModes.includes(cgroupsMode))
    throw new GantryError("invalid", "Invalid manage cgroups mode", {
      hint: `use one of: ${cgroupsModes.join(", ")}`,
    });
  for (const namespace of flags.list("empty-ns"))
    if (namespace !== "network")
      throw new GantryError("invalid", `namespace ${JSON.stringify(namespace)} is not supported`, {
        hint: "only --empty-ns network is",
      });
  const statusFd = flags.number("status-fd") ?? -1;
  return {
    imagePath: given(flags, "image-path") ?? "checkpoint",
    workPath: given(flags, "work-path"),
    parentPath,
    cgroupsMode,
    pageServer: pageServerOf(given(flags, "page-server")),
    statusFd: statusFd < 0 ? undefined : statusFd,
    lsmProfile: given(flags, "lsm-profile"),
    lsmMountContext: given(flags, "lsm-mount-context"),
    set: new Set(switches.filter((name) => flags.is(name))),
  };
}

function given(flags: ParsedFlags, name: string): string | undefined {
  const value = flags.text(name) ?? "";
  return value === "" ? undefined : value;
}

/** `ADDRESS:PORT`, an IPv6 address in brackets. */
function pageServerOf(text: string | undefined): CriuOptions["pageServer"] {
  if (text === undefined) return undefined;
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(.+)$/.exec(text) ?? [];
  const address = bracketed ?? plain;
  if (address === undefined || port === undefined)
    throw new GantryError("invalid", "Use --page-server ADDRESS:PORT to specify page server");
  if (!/^[0-9]{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535)
    throw new GantryError("invalid", "Invalid port number", { hint: "a port is from 1 to 65535" });
  return { address, port: Number(port) };
}
