import { expect, test } from "bun:test";
import { annotationProperties } from "./systemd-annotations.ts";
import { systemdAddress } from "./systemd-cgroup.ts";
import { bitsOf, quotaPerSecond, resourceProperties, unitProperties } from "./systemd-properties.ts";
import { expandSlice, systemdScope } from "./systemd-unit.ts";

test.each([
  ["a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice"],
  ["system.slice", "/system.slice"],
  ["-.slice", "/"],
])("%s is at %s", (slice, path) => {
  expect(expandSlice(slice)).toBe(path);
});

test.each(["", ".slice", "a--b.slice", "-a.slice", "a/b.slice", "a.scope"])("%j is no slice", (slice) => {
  expect(() => expandSlice(slice)).toThrow("invalid slice name");
});

test.each([
  ["", undefined, { unit: "gantry-oci-id.scope", slice: "system.slice", path: "/system.slice/gantry-oci-id.scope" }],
  ["a-b.slice:docker:x", undefined, { unit: "docker-x.scope", slice: "a-b.slice", path: "/a.slice/a-b.slice/docker-x.scope" }],
  ["-.slice:p:x", undefined, { unit: "p-x.scope", slice: "-.slice", path: "/p-x.scope" }],
  [":p:x.slice", undefined, { unit: "x.slice", slice: "system.slice", path: "/system.slice/x.slice" }],
  ["", "/user.slice/u.service", { unit: "gantry-oci-id.scope", slice: "user.slice", path: "/user.slice/u.service/user.slice/gantry-oci-id.scope" }],
] as const)("%j, user %j", (cgroupsPath, managerCgroup, scope) => {
  const user = managerCgroup === undefined ? {} : { user: { managerCgroup } };
  expect(systemdScope({ cgroupsPath, id: "id", ...user })).toEqual(scope);
}); // prettier-ignore

test.each(["/a/b", "a:b", "a.slice:b:", "a.slice:b/../c:d"])("%j is no slice:prefix:name", (cgroupsPath) => {
  expect(() => systemdScope({ cgroupsPath, id: "id" })).toThrow('format "slice:prefix:name"');
});

const names = (list: readonly (readonly [string, { readonly value: unknown }])[]): Record<string, unknown> =>
  Object.fromEntries(list.map(([name, { value }]) => [name, value]));
const all = 2n ** 64n - 1n;

test.each([
  ["v1", false, { MemoryLimit: 64n, CPUShares: 512n, BlockIOWeight: 300n }],
  ["v2", true, { MemoryMax: 64n, MemoryLow: 32n, MemorySwapMax: 36n, CPUWeight: 59n }],
])("limits on %s", (_, v2, want) => {
  const resources = {
    memory: { limit: 64, swap: 100, reservation: 32 },
    cpu: { shares: 512, quota: 45_678, period: 100_000, cpus: "0-1,9", mems: "0" },
    pids: { limit: -1 },
    blockIO: { weight: 300 },
  };
  expect(names(resourceProperties({ resources, v2, version: 252, procDevices: "" }))).toEqual({
    ...want,
    CPUQuotaPeriodUSec: 100_000n,
    CPUQuotaPerSecUSec: 460_000n,
    AllowedCPUs: [3, 2],
    AllowedMemoryNodes: [1],
    TasksMax: all,
  });
});

test("what an old systemd does not know is left to the cgroup files", () => {
  const resources = { cpu: { quota: 1000, period: 1000, cpus: "0" } };
  expect(names(resourceProperties({ resources, v2: true, version: 240, procDevices: "" }))).toEqual({
    CPUQuotaPerSecUSec: 1_000_000n,
  });
});

test("no limit in OCI's words, idle, files by unified", () => {
  const resources = {
    memory: { limit: -1 },
    cpu: { idle: 1, shares: 5 },
    pids: { limit: 0 },
    unified: {
      "memory.high": "5",
      "pids.max": "max",
      "cpu.max": "50000 100000",
      "cpuset.cpus": "8",
      "io.max": "x",
    },
  };
  const list = resourceProperties({ resources, v2: true, version: 252, procDevices: "" });
  expect(names(list)).toEqual({
    MemoryMax: all,
    MemorySwapMax: all,
    CPUWeight: 0n,
    TasksMax: all,
    MemoryHigh: 5n,
    CPUQuotaPeriodUSec: 100_000n,
    CPUQuotaPerSecUSec: 500_000n,
    AllowedCPUs: [0, 1],
  });
  expect(list.find(([name]) => name === "TasksMax")?.[1].value).toBe(1n);
});

test("devices: by number, by the name of their major, or all", () => {
  const procDevices = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  8 sd\n";
  const list = (devices: Parameters<typeof resourceProperties>[0]["resources"]["devices"]) =>
    resourceProperties({
      resources: devices === undefined ? {} : { devices },
      v2: true,
      version: 252,
      procDevices,
    });
  const closed = list([{ allow: false }, { allow: true, type: "b", major: 8, access: "r" }]);
  expect(closed[0]).toEqual(["DevicePolicy", { signature: "s", value: "strict" }]);
  expect(closed[1]).toEqual(["DeviceAllow", { signature: "a(ss)", value: [] }]);
  expect(closed[2]?.[1].value).toEqual(
    expect.arrayContaining([
      ["block-sd", "r"],
      ["char-pts", "rwm"],
      ["/dev/char/1:3", "rwm"],
    ]),
  );
  expect(list([{ allow: true }])[0]).toEqual(["DevicePolicy", { signature: "s", value: "auto" }]);
  expect(list(undefined)).toEqual([]);
});

test("a slice as unit has no Slice of its own", () => {
  const list = names(unitProperties({ unit: "x.slice", slice: "a.slice", id: "i", pid: 5, v2: true }));
  expect(list).toMatchObject({ Wants: ["a.slice"], PIDs: [5], IOAccounting: true });
  expect(list).not.toHaveProperty("Delegate");
});

test.each([
  ["0", [1]],
  ["0-8", [255, 1]],
  ["3,1", [10]],
])("%s as bits", (list, bits) => {
  expect(bitsOf(list)).toEqual(bits);
});

test.each(["x", "3-1", "1-", "-1", "999999"])("%s is no list", (list) => {
  expect(() => bitsOf(list)).toThrow("linux.resources.cpu");
});

test.each([
  [-1, 100_000, -1],
  [50_000, 0, 500_000],
  [1001, 100_000, 20_000],
])("quota %d of %d", (quota, period, perSecond) => {
  expect(quotaPerSecond(quota, period)).toBe(perSecond);
});

test.each([
  ["CollectMode", "'inactive-or-failed'", ["CollectMode", { signature: "s", value: "inactive-or-failed" }]],
  ["TimeoutStopSec", "uint64 5", ["TimeoutStopUSec", { signature: "t", value: 5_000_000n }]],
  ["TimeoutStopSec", "1.5", ["TimeoutStopUSec", { signature: "t", value: 1_500_000n }]],
  ["TimeoutStopUSec", "uint64 7", ["TimeoutStopUSec", { signature: "t", value: 7n }]],
  ["AmbientCapabilities", "true", ["AmbientCapabilities", { signature: "b", value: true }]],
  ["Nice", "-5", ["Nice", { signature: "i", value: -5n }]],
  ["After", "['a', \"b\"]", ["After", { signature: "as", value: ["a", "b"] }]],
])("annotation %s: %s", (name, value, property) => {
  expect(annotationProperties({ [`org.systemd.property.${name}`]: value, other: "x" })).toEqual([
    property as never,
  ]);
});

test.each([
  ["nice", "5"],
  ["A", "5"],
  ["TimeoutStopSec", "'x'"],
  ["Name", "x y z"],
  ["Name", "quux 5"],
  ["Name", "['a'"],
])("annotation %s: %s is refused by its name", (name, value) => {
  expect(() => annotationProperties({ [`org.systemd.property.${name}`]: value })).toThrow(
    `annotations.org.systemd.property.${name}`,
  );
});

test.each([
  [false, { DBUS_SYSTEM_BUS_ADDRESS: "unix:guid=1,path=/a%20b;unix:path=/c" }, [], { socket: "/a b" }],
  [false, {}, ["/run/dbus/system_bus_socket"], { socket: "/run/dbus/system_bus_socket" }],
  [false, {}, ["/run/systemd/private"], { socket: "/run/systemd/private", peer: true }],
  [true, { XDG_RUNTIME_DIR: "/run/user/1" }, ["/run/user/1/bus"], { socket: "/run/user/1/bus" }],
] as const)("user %j with %j and %j", (isUser, env: Record<string, string>, there, address) => {
  expect(
    systemdAddress(
      isUser,
      (name) => env[name],
      (path) => (there as readonly string[]).includes(path),
    ),
  ).toEqual(address);
});

test("a user without a bus, an address that is none", () => {
  expect(() =>
    systemdAddress(
      true,
      () => undefined,
      () => false,
    ),
  ).toThrow("the user has no D-Bus");
  expect(() =>
    systemdAddress(
      false,
      () => "tcp:host=x",
      () => false,
    ),
  ).toThrow("is not unix:path=");
});
