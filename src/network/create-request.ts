/** Judges POST /networks/create: names, drivers and options, in Docker's words. Pure. */
import { GantryError } from "../lib/index.ts";
import type { CreateNetworkRequest } from "./types.ts";

/** Bytes of a packet on the network's cables. */
export const mtuOption = "com.docker.network.driver.mtu";

/** Options that say what is so anyway. */
const givenOptions: Readonly<Record<string, string>> = {
  "com.docker.network.bridge.enable_icc": "true",
  "com.docker.network.bridge.enable_ip_masquerade": "true",
  "com.docker.network.enable_ipv4": "true",
  "com.docker.network.enable_ipv6": "false",
};

const predefinedNames = ["bridge", "host", "none", "default"];
const maxNameLength = 128;

/** @throws {GantryError} for a name, driver or option that cannot be */
export function checkCreateRequest(request: CreateNetworkRequest): void {
  checkName(request.name);
  checkDriver(request);
  if (request.ipv6) {
    throw new GantryError("unsupported", `network ${request.name}: IPv6 is not supported`, {
      hint: "create it without --ipv6",
    });
  }
  if (request.ipam.length > 1) {
    throw new GantryError(
      "unsupported",
      `network ${request.name}: bridge driver does not support more than one subnet`,
    );
  }
  for (const [key, value] of Object.entries(request.options)) checkOption(request.name, key, value);
}

function checkName(name: string): void {
  if (predefinedNames.includes(name)) {
    throw new GantryError("denied", `operation is not permitted on predefined ${name} network`, {
      hint: "choose another name",
    });
  }
  if (name.trim() === "") throw new GantryError("invalid", "invalid network name: name is empty");
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name) || name.length > maxNameLength) {
    throw new GantryError(
      "invalid",
      `invalid network name: ${JSON.stringify(name.slice(0, maxNameLength))}`,
      {
        hint: "names are made of letters, digits, _, . and - and start with a letter or digit",
      },
    );
  }
}

function checkDriver({ driver, ipamDriver }: CreateNetworkRequest): void {
  if (driver === "host" || driver === "null")
    throw new GantryError("denied", `only one instance of "${driver}" network is allowed`);
  if (driver !== "" && driver !== "bridge" && driver !== "default") {
    throw new GantryError(
      "not-found",
      `could not find plugin ${driver} in v1 plugin registry: plugin not found`,
      {
        hint: "Gantry has the network driver bridge",
      },
    );
  }
  if (ipamDriver !== "" && ipamDriver !== "default") {
    throw new GantryError("not-found", `invalid network config: ipam driver "${ipamDriver}" not found`, {
      hint: "Gantry has default",
    });
  }
}

function checkOption(name: string, key: string, value: string): void {
  if (key === mtuOption) {
    const mtu = Number(value);
    // IPv4 demands 68 (RFC 791); a veth takes no more than 65535.
    if (!/^[0-9]{1,5}$/.test(value) || (mtu !== 0 && (mtu < 68 || mtu > 65_535))) {
      throw new GantryError("invalid", `network ${name}: invalid MTU: ${JSON.stringify(value)}`);
    }
    return;
  }
  if (givenOptions[key] === value) return;
  throw new GantryError("unsupported", `network ${name}: option ${key}=${value} is not supported`, {
    hint: `supported: ${mtuOption}`,
  });
}

/** The network's MTU, 0 for the kernel's default. */
export function mtuOf(options: Readonly<Record<string, string>>): number {
  return Number(options[mtuOption] ?? 0);
}
