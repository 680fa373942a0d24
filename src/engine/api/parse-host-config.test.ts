import { describe, expect, test } from "bun:test";
import type { HostConfig } from "../container.ts";
import { parseCreate } from "./parse-create.ts";
import type { ApiVersion } from "./version-gates.ts";

const hostOf = (HostConfig: object, version?: ApiVersion): HostConfig =>
  parseCreate("", { Image: "x", HostConfig }, version).host;

describe("refused as dockerd words it", () => {
  test.each([
    [{ IpcMode: "ours" }, "invalid IPC mode: ours"],
    [{ IpcMode: "container:" }, "invalid IPC mode: container:"],
    [{ PidMode: "private" }, "invalid PID mode: private"],
    [{ UTSMode: "container:a" }, "invalid UTS mode: container:a"],
    [{ UsernsMode: "private" }, "invalid userns mode: private"],
    [{ CgroupnsMode: "x" }, "invalid cgroup namespace mode: x"],
    [{ Isolation: "hyperv" }, "invalid isolation (hyperv): linux only supports 'default'"],
    [{ ShmSize: -1 }, "SHM size can not be less than 0"],
    [{ OomScoreAdj: 1001 }, "Invalid value 1001, range for oom score adj is [-1000, 1000]"],
    [{ MemorySwappiness: 101 }, "Invalid value: 101, valid memory swappiness range is 0-100"],
    [{ MemoryReservation: 1 }, "Minimum memory reservation allowed is 6MB"],
    [
      { Memory: 7 << 20, MemoryReservation: 8 << 20 },
      "Minimum memory limit can not be less than memory reservation limit, see usage",
    ],
    [{ CpuPeriod: 10 }, "CPU cfs period can not be less than 1ms"],
    [{ CpuQuota: 10 }, "CPU cfs quota can not be less than 1ms"],
    [{ CpuShares: -1 }, "invalid CPU shares (-1): value must be a positive integer"],
    [{ NanoCpus: 1e9, CpuPeriod: 1000 }, "Nano CPUs and CPU Period cannot both be set"],
    [{ CpusetCpus: "zero" }, "Invalid value zero for cpuset cpus"],
    [{ CpuRealtimePeriod: 1, CpuRealtimeRuntime: 2 }, "cpu real-time runtime cannot be higher"],
    [{ BlkioWeight: 9 }, "Range of blkio weight is from 10 to 1000"],
    [{ IOMaximumIOps: 1 }, "QoS maximum IOPs configuration is not supported on linux"],
    [{ DeviceCgroupRules: ["c 1 rwm"] }, "invalid device cgroup rule format: 'c 1 rwm'"],
    [{ SecurityOpt: ["x=y"] }, 'invalid --security-opt 2: "x=y"'],
    [{ Annotations: { "": "a" } }, "the empty string is not permitted as an annotation key"],
    [{ MaskedPaths: ["proc"] }, "is not an absolute path"],
  ])("%o", (HostConfig, message) => expect(() => hostOf(HostConfig)).toThrow(message));
});

test("what the request says is in the record", () => {
  const asked = {
    IpcMode: "container:a",
    PidMode: "host",
    CgroupnsMode: "host",
    UsernsMode: "host",
    MemorySwappiness: 0,
    OomKillDisable: true,
    BlkioWeight: 300,
    BlkioWeightDevice: [{ Path: "/dev/a", Weight: 10 }],
    BlkioDeviceReadBps: [{ Path: "/dev/a", Rate: 7 }],
    DeviceCgroupRules: ["c *:* r"],
    DeviceRequests: [{ Driver: "", Count: -1, DeviceIDs: [], Capabilities: [["gpu"]], Options: {} }],
    MaskedPaths: [],
    ReadonlyPaths: ["/a"],
    Annotations: { a: "b" },
    ConsoleSize: [24, 80],
    ContainerIDFile: "/c",
    Init: false,
  };
  expect(hostOf(asked) as unknown).toMatchObject(asked);
  expect(hostOf({ MemorySwappiness: -1, Isolation: "default", CpuCount: 3, Cgroup: "x" })).toMatchObject({
    MemorySwappiness: null,
    Init: null,
    MaskedPaths: null,
  });
});

describe("old clients", () => {
  const said = { AutoRemove: true, Annotations: { a: "b" }, ConsoleSize: [24, 80], KernelMemoryTCP: 5 };
  test.each([
    [[1, 24], { AutoRemove: false, IpcMode: "shareable", CgroupnsMode: "", KernelMemoryTCP: 0 }],
    [[1, 39], { AutoRemove: true, IpcMode: "shareable", CgroupnsMode: "", ConsoleSize: [0, 0] }],
    [[1, 40], { IpcMode: "private", CgroupnsMode: "", KernelMemoryTCP: 5 }],
    [[1, 41], { CgroupnsMode: "private", ConsoleSize: [0, 0] }],
    [[1, 42], { ConsoleSize: [24, 80], Annotations: {} }],
    [[1, 43], { Annotations: { a: "b" } }],
  ] as const)("of %o", (version, want) => expect(hostOf(said, version) as unknown).toMatchObject(want));

  test("what they say explicitly holds", () => {
    expect(hostOf({ IpcMode: "private", CgroupnsMode: "private" }, [1, 24])).toMatchObject({
      IpcMode: "private",
      CgroupnsMode: "private",
    });
  });

  test("a limit of kernel memory is passed over, with a warning where it once was one", () => {
    const body = { Image: "x", HostConfig: { KernelMemory: 1 << 30 } };
    expect(parseCreate("", body, [1, 41]).warnings).toHaveLength(1);
    expect(parseCreate("", body).warnings).toEqual([]);
  });
});
