/** Where subnets of networks come from when the user names none: the engine's own pools, or those of its settings. Pure. */
import { broadcastOf, parseCidr, parseIpv4, type Subnet, tryParseIpv4 } from "./ipv4.ts";

/** Subnets of `size` bits out of `base`. */
export interface AddressPool {
  readonly base: string;
  readonly size: number;
}

/** What the engine is told of its networks. */
export interface NetworkDefaults {
  /** Address and subnet of the network `bridge`: `10.1.0.1/16`. */
  readonly bip: string | undefined;
  /** Of the network `bridge`; 0: the kernel's. */
  readonly mtu: number;
  /** Tried in order; none: our own. */
  readonly pools: readonly AddressPool[];
}

export const networkDefaults: NetworkDefaults = { bip: undefined, mtu: 0, pools: [] };

/** 10.88.0.0/16 to 10.255.0.0/16, then 192.168.128.0/24 to 192.168.255.0/24: where few sites have their own machines. */
function* ownPools(): Generator<Subnet> {
  for (let second = 88; second <= 255; second++) yield { base: parseIpv4(`10.${second}.0.0`), prefix: 16 };
  for (let third = 128; third <= 255; third++) yield { base: parseIpv4(`192.168.${third}.0`), prefix: 24 };
}

/** All subnets of the pools, in order; lazily, for there may be a million. */
export function* subnetsOf(pools: readonly AddressPool[]): Generator<Subnet> {
  if (pools.length === 0) yield* ownPools();
  for (const { base, size } of pools) {
    const { subnet } = parseCidr(base);
    for (let at = subnet.base; at <= broadcastOf(subnet); at += 2 ** (32 - size))
      yield { base: at, prefix: size };
  }
}

/** Room for a gateway and a container, no host bits, no more than the pool has. */
export function isPool({ base, size }: AddressPool): boolean {
  const [ip = "", prefix = ""] = base.split("/");
  if (tryParseIpv4(ip) === undefined || !/^\d{1,2}$/.test(prefix) || Number(prefix) < 8) return false;
  if (size < Number(prefix) || size > 30) return false;
  const { subnet, address } = parseCidr(base);
  return address === subnet.base;
}

/** An address of a host, with its subnet of 8 to 30 bits. */
export function isBridgeAddress(text: string): boolean {
  const [ip = "", prefix = ""] = text.split("/");
  if (tryParseIpv4(ip) === undefined || !/^\d{1,2}$/.test(prefix)) return false;
  if (Number(prefix) < 8 || Number(prefix) > 30) return false;
  const { subnet, address } = parseCidr(text);
  return address !== subnet.base && address !== broadcastOf(subnet);
}
