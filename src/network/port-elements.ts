/** Published ports as elements of the table's two maps. Pure. @see table.ts */
import { nft, type SetElement } from "../kernel/index.ts";
import { tableName } from "./names.ts";
import type { Endpoint, PublishedPort } from "./types.ts";

/** Keys `protocol . address of the host . port`: ports published on one address. */
export const addressMap = "port_of_address";
/** Keys `protocol . port`: ports published on all addresses of the host. */
export const anyMap = "port_of_any";

export interface PortElements {
  readonly ofAddress: readonly SetElement[];
  readonly ofAny: readonly SetElement[];
}

export interface Destination {
  readonly ip: string;
  readonly port: number;
}

/** Leads `protocol` traffic for a port of one host address to a destination. */
export function addressElement(
  protocol: "tcp" | "udp",
  hostIp: string,
  hostPort: number,
  to: Destination,
): SetElement {
  const key = nft.key(nft.value.protocol(protocol), nft.value.ipv4(hostIp), nft.value.port(hostPort));
  return { key, value: destinationValue(to) };
}

function destinationValue({ ip, port }: Destination): Uint8Array {
  return nft.key(nft.value.ipv4(ip), nft.value.port(port));
}

const onAll = (port: PublishedPort): boolean => port.hostIp === "0.0.0.0";

export function portElements({ ip, ports }: Pick<Endpoint, "ip" | "ports">): PortElements {
  return {
    ofAddress: ports
      .filter((port) => !onAll(port))
      .map((port) =>
        addressElement(port.protocol, port.hostIp, port.hostPort, { ip, port: port.containerPort }),
      ),
    ofAny: ports.filter(onAll).map((port) => ({
      key: nft.key(nft.value.protocol(port.protocol), nft.value.port(port.hostPort)),
      value: destinationValue({ ip, port: port.containerPort }),
    })),
  };
}

/** One transaction; elements may be there already, with the same value. */
export function addElements(instance: string, elements: PortElements): Uint8Array {
  return nft.batch(elementMessages(instance, elements));
}

/** The messages of `addElements` without the transaction around them. */
export function elementMessages(instance: string, { ofAddress, ofAny }: PortElements): Uint8Array[] {
  const table = tableName(instance);
  return [
    ...(ofAddress.length === 0 ? [] : [nft.addElements({ table, name: addressMap }, ofAddress)]),
    ...(ofAny.length === 0 ? [] : [nft.addElements({ table, name: anyMap }, ofAny)]),
  ];
}

const keys = (elements: readonly SetElement[]): SetElement[] => elements.map(({ key }) => ({ key }));

/** One transaction, which fails as a whole when an element is missing. */
export function removeElements(instance: string, elements: PortElements): Uint8Array {
  return nft.batch(removal(instance, elements, nft.deleteElements));
}

/** One transaction; missing elements are fine. Kernels before 6.3 refuse it. */
export function destroyElements(instance: string, elements: PortElements): Uint8Array {
  return nft.batch(removal(instance, elements, nft.destroyElements));
}

function removal(
  instance: string,
  { ofAddress, ofAny }: PortElements,
  remove: typeof nft.deleteElements,
): Uint8Array[] {
  const table = tableName(instance);
  return [
    ...(ofAddress.length === 0 ? [] : [remove({ table, name: addressMap }, keys(ofAddress))]),
    ...(ofAny.length === 0 ? [] : [remove({ table, name: anyMap }, keys(ofAny))]),
  ];
}
