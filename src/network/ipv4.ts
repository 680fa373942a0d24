/** IPv4 addresses and subnets as numbers. Pure. */
import { GantryError } from "../lib/index.ts";

/** An address as an unsigned 32 bit number in host order. */
export type Ipv4 = number;

export interface Subnet {
  /** The first address; its host bits are zero. */
  readonly base: Ipv4;
  /** 0 to 32. */
  readonly prefix: number;
}

/** The address, or undefined when `text` is not four decimal bytes without leading zeros. */
export function tryParseIpv4(text: string): Ipv4 | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return value;
}

/** @throws {GantryError} "invalid" */
export function parseIpv4(text: string): Ipv4 {
  const value = tryParseIpv4(text);
  if (value === undefined) throw new GantryError("invalid", `invalid IPv4 address: ${shown(text)}`);
  return value;
}

export function formatIpv4(address: Ipv4): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/** The four bytes in network order. */
export function ipv4Bytes(address: Ipv4): Uint8Array {
  return Uint8Array.of(address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255);
}

/** `10.7.0.0/24`, and whether host bits were set. @throws {GantryError} "invalid" */
export function parseCidr(text: string): { readonly subnet: Subnet; readonly address: Ipv4 } {
  const [ip = "", prefixText = "", ...rest] = text.split("/");
  const address = tryParseIpv4(ip);
  const prefix = /^[0-9]{1,2}$/.test(prefixText) ? Number(prefixText) : 33;
  if (address === undefined || prefix > 32 || rest.length > 0) {
    throw new GantryError("invalid", `invalid CIDR address: ${shown(text)}`, {
      hint: "write it as 10.7.0.0/24",
    });
  }
  return { subnet: subnetOf(address, prefix), address };
}

/** The subnet that holds an address. */
export function subnetOf(address: Ipv4, prefix: number): Subnet {
  const size = 2 ** (32 - prefix);
  return { base: address - (address % size), prefix };
}

export function formatSubnet({ base, prefix }: Subnet): string {
  return `${formatIpv4(base)}/${prefix}`;
}

/** How many addresses it has. */
export function subnetSize(subnet: Subnet): number {
  return 2 ** (32 - subnet.prefix);
}

/** The last address. */
export function broadcastOf(subnet: Subnet): Ipv4 {
  return subnet.base + subnetSize(subnet) - 1;
}

export function subnetHas(subnet: Subnet, address: Ipv4): boolean {
  return address >= subnet.base && address <= broadcastOf(subnet);
}

export function subnetsOverlap(a: Subnet, b: Subnet): boolean {
  return a.base <= broadcastOf(b) && b.base <= broadcastOf(a);
}

/** The address as it is asked for in DNS: `2.0.88.10.in-addr.arpa`; undefined when `name` is none. */
export function parseReverseName(name: string): Ipv4 | undefined {
  const suffix = ".in-addr.arpa";
  if (!name.endsWith(suffix)) return undefined;
  return tryParseIpv4(name.slice(0, -suffix.length).split(".").reverse().join("."));
}

/** A locally administered hardware address that follows from the IPv4 one, as Docker makes it. */
export function macOf(address: Ipv4): string {
  return ["02", "42", ...Array.from(ipv4Bytes(address), (byte) => byte.toString(16).padStart(2, "0"))].join(
    ":",
  );
}

/** @throws {GantryError} "invalid" unless it is a unicast hardware address like 02:42:0a:58:00:02 */
export function parseMac(text: string): string {
  const mac = text.toLowerCase().replaceAll("-", ":");
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) || (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1) {
    throw new GantryError("invalid", `invalid MAC address: ${shown(text)}`, {
      hint: "write it as 02:42:0a:58:00:02",
    });
  }
  return mac;
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}
