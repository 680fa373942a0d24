/**
 * Names and numbers of what Gantry makes in the kernel. Every name says which engine it belongs to, so that engines on one
 * machine never touch each other's: `instance` is "" for the engine of the default directories, else 6 hex digits.
 */

/** Interface names have 15 characters at most. */
const prefix = (instance: string): string => (instance === "" ? "gantry" : `g${instance}`);

/** Bridge `number` of an engine: `gantry0`, `g12ab340`. */
export function bridgeName(instance: string, number: number): string {
  return `${prefix(instance)}${number}`;
}

/** The number of a bridge of this engine; undefined for any other interface. */
export function bridgeNumber(instance: string, name: string): number | undefined {
  if (!name.startsWith(prefix(instance))) return undefined;
  const digits = name.slice(prefix(instance).length);
  return /^(0|[1-9][0-9]{0,4})$/.test(digits) ? Number(digits) : undefined;
}

/**
 * The host's end of a container's cable: `gv`, the instance, digits that follow from the container's id, and the cable's
 * slot. With the slot a container that starts again has a new name: the old cable may still be on its way out.
 */
export function vethName(instance: string, containerId: string, slot: number): string {
  const digits = containerId.slice(0, 8);
  const tail = slot.toString(16).padStart(3, "0");
  if (instance === "") return `gv${digits}${tail}`;
  return `gv${instance}${(Number.parseInt(digits, 16) % 36 ** 4).toString(36).padStart(4, "0")}${tail}`;
}

/** True for a name that `vethName` makes for this engine. */
export function isVethName(instance: string, name: string): boolean {
  return instance === ""
    ? /^gv[0-9a-f]{11}$/.test(name)
    : name.startsWith(`gv${instance}`) && /^gv[0-9a-f]{6}[0-9a-z]{4}[0-9a-f]{3}$/.test(name);
}

/** The nftables table (family ip) of an engine. */
export function tableName(instance: string): string {
  return instance === "" ? "gantry" : `gantry-${instance}`;
}

/** A Linux bridge has 1024 ports, number 0 of them unused (BR_MAX_PORTS). */
export const maxSlots = 1023;

/**
 * Interface numbers are given by us, because a cable's far end takes a wished number only if the near end has one (veth.c,
 * veth_newlink). Each bridge owns a block of 1024 from here up: itself at its start, its cables behind. Since the bridge
 * holds the first number of its block, no two engines can have the same one.
 */
export const firstBlock = 0x1000_0000;
export const blockSize = 1024;
export const lastBlock = 0x7000_0000;

/** The number of eth0 in every container: above those of the tunnel devices that a kernel adds to each namespace. */
export const containerIfIndex = 60;
