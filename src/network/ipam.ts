/** Which subnet a network gets and which address a container gets. Pure: what is taken is given. */
import { GantryError } from "../lib/index.ts";
import {
  broadcastOf,
  formatIpv4,
  formatSubnet,
  type Ipv4,
  parseCidr,
  parseIpv4,
  type Subnet,
  subnetHas,
  subnetsOverlap,
} from "./ipv4.ts";
import { type AddressPool, subnetsOf } from "./pools.ts";

/** The addresses of one bridge network. */
export interface AddressPlan {
  readonly subnet: Subnet;
  readonly gateway: Ipv4;
  /** Containers get addresses of this part of the subnet unless they ask for another one. */
  readonly range: Subnet;
}

/** What the user asked for; empty texts: not given. */
export interface AddressRequest {
  readonly subnet: string;
  readonly gateway: string;
  readonly range: string;
}

/** Smaller subnets have no room for a gateway and a container. */
const longestPrefix = 30;
/** Larger ones would swallow whole address families of the host. */
const shortestPrefix = 8;

/**
 * The first subnet of the pools that overlaps none of `taken`, with its first address as gateway.
 * @throws {GantryError} "exhausted"
 */
export function chooseAddresses(taken: readonly Subnet[], pools: readonly AddressPool[] = []): AddressPlan {
  for (const subnet of subnetsOf(pools)) {
    if (!taken.some((other) => subnetsOverlap(subnet, other)))
      return { subnet, gateway: subnet.base + 1, range: subnet };
  }
  throw new GantryError("exhausted", "all predefined address pools have been fully subnetted", {
    hint: "remove unused networks (gantry network rm) or give a --subnet",
  });
}

/**
 * Judges what the user asked for, in Docker's words.
 * @throws {GantryError} "invalid", or "denied" when the subnet is in use
 */
export function planAddresses(
  request: AddressRequest,
  taken: readonly Subnet[],
  pools: readonly AddressPool[] = [],
): AddressPlan {
  if (request.subnet === "") {
    if (request.gateway === "" && request.range === "") return chooseAddresses(taken, pools);
    throw invalidConfig("a gateway or ip-range needs a subnet");
  }
  const subnet = parseExact("subnet", request.subnet);
  if (subnet.prefix < shortestPrefix || subnet.prefix > longestPrefix) {
    throw invalidConfig(`subnet ${request.subnet} must be between /${shortestPrefix} and /${longestPrefix}`);
  }
  const range = request.range === "" ? subnet : parseRange(request.range, subnet);
  const gateway = request.gateway === "" ? subnet.base + 1 : parseGateway(request.gateway, subnet);
  if (!isUnicast(subnet)) throw invalidConfig(`subnet ${request.subnet} is not one of unicast addresses`);
  const other = taken.find((candidate) => subnetsOverlap(subnet, candidate));
  if (other !== undefined) {
    throw new GantryError(
      "denied",
      "invalid pool request: Pool overlaps with other one on this address space",
      {
        hint: `${formatSubnet(other)} is in use by an interface, a route or a network of this machine`,
      },
    );
  }
  return { subnet, gateway, range };
}

function parseExact(what: string, text: string): Subnet {
  const { subnet, address } = parseCidr(text);
  if (address !== subnet.base)
    throw invalidConfig(`invalid ${what} ${text}: it should be ${formatSubnet(subnet)}`);
  return subnet;
}

function parseRange(text: string, subnet: Subnet): Subnet {
  const range = parseExact("ip-range", text);
  const parent = formatSubnet(subnet);
  if (range.prefix < subnet.prefix) {
    throw invalidConfig(`invalid ip-range ${text}: CIDR block is bigger than its parent subnet ${parent}`);
  }
  if (!subnetHas(subnet, range.base))
    throw invalidConfig(`invalid ip-range ${text}: parent subnet ${parent} doesn't contain ip-range`);
  return range;
}

function parseGateway(text: string, subnet: Subnet): Ipv4 {
  const gateway = parseIpv4(text);
  if (!subnetHas(subnet, gateway) || gateway === subnet.base || gateway === broadcastOf(subnet)) {
    throw invalidConfig(
      `invalid gateway ${text}: parent subnet ${formatSubnet(subnet)} doesn't contain this address`,
    );
  }
  return gateway;
}

/** Neither this-network, loopback, multicast nor reserved. */
function isUnicast({ base }: Subnet): boolean {
  const first = Math.floor(base / 2 ** 24);
  return first !== 0 && first !== 127 && first < 224;
}

function invalidConfig(reason: string): GantryError {
  return new GantryError("invalid", `invalid network config: ${reason}`);
}

/**
 * The lowest free address of the network's range.
 * @param used addresses of the network's endpoints
 * @throws {GantryError} "exhausted"
 */
export function nextAddress(plan: AddressPlan, used: ReadonlySet<Ipv4>): Ipv4 {
  const last = broadcastOf(plan.range);
  for (let address = plan.range.base; address <= last; address++) {
    if (isHostAddress(plan, address) && !used.has(address)) return address;
  }
  throw new GantryError(
    "exhausted",
    `no available IPv4 addresses on this network's address pools: ${formatSubnet(plan.range)}`,
    {
      hint: "stop containers of this network or create a larger one",
    },
  );
}

/**
 * Judges an address that a container asks for.
 * @throws {GantryError} "invalid" outside of the subnet, "denied" when it is taken
 */
export function claimAddress(plan: AddressPlan, used: ReadonlySet<Ipv4>, wish: string): Ipv4 {
  const address = parseIpv4(wish);
  if (!subnetHas(plan.subnet, address)) {
    throw new GantryError("invalid", `no configured subnet or ip-range contain the IP address ${wish}`, {
      hint: `the network has ${formatSubnet(plan.subnet)}`,
    });
  }
  if (!isHostAddress(plan, address) || used.has(address)) {
    throw new GantryError("denied", `Address already in use: ${formatIpv4(address)}`);
  }
  return address;
}

function isHostAddress({ subnet, gateway }: AddressPlan, address: Ipv4): boolean {
  return address !== subnet.base && address !== broadcastOf(subnet) && address !== gateway;
}
