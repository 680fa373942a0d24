/** Networks and ports of a create request. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { NetworkRequest, PortBinding } from "../container.ts";
import type { Fields } from "./json-fields.ts";

/** "80" means "80/tcp"; "80-82/udp" is three ports. What is exposed and not published may be sctp, too. */
export function parsePorts(ports: Readonly<Record<string, object>>): Readonly<Record<string, object>> {
  return Object.fromEntries(Object.keys(ports).flatMap((port) => portRange(port).map((one) => [one, {}])));
}

function portRange(text: string): readonly string[] {
  const [, from, to = from, protocol = "tcp"] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  const first = Number(from);
  const last = Number(to);
  if (!(first >= 1 && first <= last && last <= 65535))
    throw new GantryError("invalid", `invalid port specification: ${JSON.stringify(text)}`);
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}

function normalPort(port: string): string {
  const match = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(port);
  const number = Number(match?.[1]);
  if (match === null || number < 1 || number > 65535) {
    throw new GantryError("invalid", `invalid port specification: ${JSON.stringify(port)}`);
  }
  return `${number}/${match[2] ?? "tcp"}`;
}

/** @throws {GantryError} "unsupported" */
export function parseNetworkMode(mode: string): string {
  if (mode.startsWith("container:"))
    throw new GantryError("unsupported", `the network of another container (${mode}) is not supported`, {
      hint: "put both on one network, where they find each other by name",
    });
  return mode;
}

/** @throws {GantryError} "invalid" */
export function parsePortBindings(fields: Fields): Readonly<Record<string, readonly PortBinding[]>> {
  const bindings: Record<string, readonly PortBinding[]> = {};
  for (const key of fields.keys()) {
    bindings[normalPort(key)] = fields.list(key).map((binding) => {
      const HostPort = binding.string("HostPort");
      if (HostPort !== "" && !(/^\d{1,5}$/.test(HostPort) && Number(HostPort) <= 65535)) {
        throw new GantryError("invalid", `invalid port specification: ${JSON.stringify(HostPort)}`);
      }
      return { HostIp: binding.string("HostIp"), HostPort };
    });
  }
  return bindings;
}

/** @throws {GantryError} "unsupported" for several networks */
export function parseNetworking(fields: Fields, mode: string): NetworkRequest {
  const endpoints = fields.object("NetworkingConfig").object("EndpointsConfig");
  const names = endpoints.keys();
  if (names.length > 1) {
    throw new GantryError(
      "unsupported",
      `a container in several networks at once is not supported: ${names.join(", ")}`,
    );
  }
  // Clients name the endpoint as NetworkMode does; `default` means `bridge`.
  const endpoint = endpoints.object(names[0] ?? mode);
  return {
    aliases: endpoint.strings("Aliases"),
    ip: endpoint.object("IPAMConfig").string("IPv4Address"),
    mac: endpoint.string("MacAddress") || fields.string("MacAddress"),
  };
}
