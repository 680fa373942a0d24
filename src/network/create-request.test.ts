import { expect, test } from "bun:test";
import { GantryError } from "../lib/index.ts";
import { checkCreateRequest, mtuOf } from "./create-request.ts";
import type { CreateNetworkRequest } from "./types.ts";

function judge(over: Partial<CreateNetworkRequest>): string {
  const base: CreateNetworkRequest = {
    name: "back",
    driver: "",
    internal: false,
    attachable: false,
    ipv6: false,
    labels: {},
    options: {},
    ipam: [],
    ipamDriver: "",
  };
  try {
    checkCreateRequest({ ...base, ...over });
  } catch (error) {
    if (error instanceof GantryError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "good";
}

const subnet = { subnet: "10.7.0.0/24", gateway: "", ipRange: "" };

test.each([
  [{}, "good"],
  [{ driver: "bridge", ipamDriver: "default", name: "my_net-1.x" }, "good"],
  [
    { options: { "com.docker.network.driver.mtu": "1400", "com.docker.network.bridge.enable_icc": "true" } },
    "good",
  ],
  [{ name: "bridge" }, "denied: operation is not permitted on predefined bridge network"],
  [{ name: "default" }, "denied: operation is not permitted on predefined default network"],
  [{ name: " " }, "invalid: invalid network name: name is empty"],
  [{ name: "a/b" }, 'invalid: invalid network name: "a/b"'],
  [{ name: "-x" }, 'invalid: invalid network name: "-x"'],
  [{ name: "container:x" }, 'invalid: invalid network name: "container:x"'],
  [{ driver: "host" }, 'denied: only one instance of "host" network is allowed'],
  [{ driver: "overlay" }, "not-found: could not find plugin overlay in v1 plugin registry: plugin not found"],
  [{ ipamDriver: "dhcp" }, 'not-found: invalid network config: ipam driver "dhcp" not found'],
  [{ ipv6: true }, "unsupported: network back: IPv6 is not supported"],
  [
    { ipam: [subnet, subnet] },
    "unsupported: network back: bridge driver does not support more than one subnet",
  ],
  [{ options: { "com.docker.network.driver.mtu": "67" } }, 'invalid: network back: invalid MTU: "67"'],
  [{ options: { "com.docker.network.driver.mtu": "1e3" } }, 'invalid: network back: invalid MTU: "1e3"'],
  [
    { options: { "com.docker.network.bridge.enable_icc": "false" } },
    "unsupported: network back: option com.docker.network.bridge.enable_icc=false is not supported",
  ],
])("%p: %s", (over, want) => {
  expect(judge(over)).toBe(want);
});

test("the MTU of a network", () => {
  expect([mtuOf({}), mtuOf({ "com.docker.network.driver.mtu": "9000" })]).toEqual([0, 9000]);
});
