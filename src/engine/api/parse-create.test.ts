import { describe, expect, test } from "bun:test";
import { GantryError } from "../../lib/index.ts";
import { parseCreate } from "./parse-create.ts";

const wrong = [
  { name: "no image", body: {}, error: "no image is given" },
  { name: "image of the wrong type", body: { Image: 7 }, error: "Image must be a string" },
  {
    name: "relative working directory",
    body: { Image: "x", WorkingDir: "a" },
    error: "needs to be an absolute path",
  },
  {
    name: "port zero",
    body: { Image: "x", ExposedPorts: { "0/tcp": {} } },
    error: "invalid port specification",
  },
  {
    name: "port of an unknown protocol",
    body: { Image: "x", ExposedPorts: { "1/quic": {} } },
    error: "invalid port specification",
  },
  {
    name: "range that ends before it begins",
    body: { Image: "x", ExposedPorts: { "9-8/tcp": {} } },
    error: "invalid port specification",
  },
  { name: "small memory", body: { Image: "x", HostConfig: { Memory: 1024 } }, error: "Minimum memory limit" },
  {
    name: "auto-remove with restart",
    body: { Image: "x", HostConfig: { AutoRemove: true, RestartPolicy: { Name: "always" } } },
    error: "AutoRemove",
  },
  {
    name: "unknown restart policy",
    body: { Image: "x", HostConfig: { RestartPolicy: { Name: "sometimes" } } },
    error: "unknown policy",
  },
  {
    name: "the network of another container",
    body: { Image: "x", HostConfig: { NetworkMode: "container:a" } },
    error: "(container:a) is not supported",
  },
  {
    name: "unknown log driver",
    body: { Image: "x", HostConfig: { LogConfig: { Type: "syslog" } } },
    error: "no log driver named",
  },
  { name: "empty env name", body: { Image: "x", Env: ["=a"] }, error: "invalid environment variable" },
] as const;

describe("parseCreate", () => {
  test.each(wrong)("refuses: $name", ({ body, error }) => {
    expect(() => parseCreate("", body)).toThrow(error);
    try {
      parseCreate("", body);
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(GantryError);
    }
  });

  test("a bad name is refused as Docker words it", () => {
    expect(() => parseCreate("a b", { Image: "x" })).toThrow("Invalid container name (a b)");
  });

  test("what the docker CLI sends for a plain run passes, with defaults filled in", () => {
    const request = parseCreate("", {
      Hostname: "",
      Domainname: "",
      User: "",
      AttachStdin: false,
      AttachStdout: true,
      AttachStderr: true,
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      Env: null,
      Cmd: ["true"],
      Image: "busybox",
      Volumes: {},
      WorkingDir: "",
      Entrypoint: null,
      OnBuild: null,
      Labels: {},
      HostConfig: {
        Binds: null,
        ContainerIDFile: "",
        LogConfig: { Type: "", Config: {} },
        NetworkMode: "default",
        PortBindings: {},
        RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
        AutoRemove: true,
        VolumeDriver: "",
        VolumesFrom: null,
        ConsoleSize: [24, 80],
        CapAdd: null,
        CapDrop: null,
        CgroupnsMode: "",
        Dns: [],
        DnsOptions: [],
        DnsSearch: [],
        ExtraHosts: null,
        GroupAdd: null,
        IpcMode: "",
        Cgroup: "",
        Links: null,
        OomScoreAdj: 0,
        PidMode: "",
        Privileged: false,
        PublishAllPorts: false,
        ReadonlyRootfs: false,
        SecurityOpt: null,
        UTSMode: "",
        UsernsMode: "",
        ShmSize: 0,
        Isolation: "",
        CpuShares: 0,
        Memory: 0,
        NanoCpus: 0,
        CgroupParent: "",
        BlkioWeight: 0,
        BlkioWeightDevice: [],
        CpuPeriod: 0,
        CpuQuota: 0,
        Devices: [],
        DeviceCgroupRules: null,
        MemorySwappiness: -1,
        OomKillDisable: false,
        PidsLimit: 0,
        Ulimits: [],
        MaskedPaths: null,
        ReadonlyPaths: null,
      },
      NetworkingConfig: { EndpointsConfig: { default: { IPAMConfig: null, Aliases: null, DNSNames: null } } },
    });
    expect(request.config.Cmd).toEqual(["true"]);
    expect(request.host).toMatchObject({ AutoRemove: true, ShmSize: 67_108_864, IpcMode: "private" });
  });

  test("what is exposed may be a range, and sctp", () => {
    const request = parseCreate("", { Image: "x", ExposedPorts: { "6": {}, "8-9/udp": {}, "7/sctp": {} } });
    expect(Object.keys(request.config.ExposedPorts)).toEqual(["6/tcp", "8/udp", "9/udp", "7/sctp"]);
  });

  test("ports without a protocol are tcp", () => {
    const request = parseCreate("", {
      Image: "x",
      HostConfig: { PortBindings: { "80": [{ HostPort: "8080" }] } },
    });
    expect(request.host.PortBindings).toEqual({ "80/tcp": [{ HostIp: "", HostPort: "8080" }] });
  });
});
