import { describe, expect, test } from "bun:test";
import type { HostConfig } from "../container.ts";
import { defaultHostConfig } from "../create-defaults.ts";
import { sampleRecord } from "../sample.test-data.ts";
import { mountsOf, parseBind, parseMount, requestedMounts, volumeUses } from "./mount-spec.ts";

describe("parseBind", () => {
  test.each([
    ["/a:/b", { type: "bind", source: "/a", target: "/b", readOnly: false, mode: "", createSource: true }],
    ["/a/../c/:/b//d/", { type: "bind", source: "/c", target: "/b/d" }],
    ["/a:/b:ro", { readOnly: true, mode: "ro" }],
    ["/a:/b:ro,rslave,z", { readOnly: true, propagation: "rslave", mode: "ro,rslave,z" }],
    ["data:/b", { type: "volume", name: "data", source: "", target: "/b", createSource: false }],
    ["data:/b:nocopy", { noCopy: true }],
    ["/b", { type: "volume", name: "", target: "/b" }],
    ["/:/host", { source: "/", target: "/host" }],
  ] as const)("%s", (spec, want) => expect(parseBind(spec)).toMatchObject(want));

  test.each([
    ["", "invalid volume specification: ''"],
    ["a:b:c:d", "invalid volume specification"],
    [":/b", "invalid volume specification"],
    ["/a:", "invalid volume specification"],
    ["/a:b", "mount path must be absolute"],
    ["/a:/", "destination can't be '/'"],
    ["/a:/x/..", "destination can't be '/'"],
    ["/a:/b:rx", "invalid mode: rx"],
    ["a/b:/c", "includes invalid characters for a local volume name"],
    ["data:/b:rslave", "invalid volume specification"],
  ])("%s is refused", (spec, words) => expect(() => parseBind(spec)).toThrow(words));
});

describe("parseMount", () => {
  test.each([
    [
      { Type: "bind", Source: "/a", Target: "/b", ReadOnly: true },
      { source: "/a", readOnly: true, createSource: false },
    ],
    [
      {
        Type: "bind",
        Source: "/a",
        Target: "/b",
        ReadOnly: false,
        BindOptions: { Propagation: "rshared", CreateMountpoint: true },
      },
      { propagation: "rshared", createSource: true },
    ],
    [
      { Type: "volume", Source: "v1", Target: "/b", ReadOnly: false, VolumeOptions: { NoCopy: true } },
      { name: "v1", noCopy: true },
    ],
    [
      {
        Type: "tmpfs",
        Source: "",
        Target: "/b",
        ReadOnly: false,
        TmpfsOptions: { SizeBytes: 4096, Mode: 0o1770 },
      },
      { type: "tmpfs", options: "size=4096,mode=1770" },
    ],
  ] as const)("%o", (mount, want) => expect(parseMount(mount)).toMatchObject(want));

  test.each([
    [{ Type: "bind", Source: "a", Target: "/b", ReadOnly: false }, "'a' mount path must be absolute"],
    [
      { Type: "bind", Source: "/a", Target: "/b", ReadOnly: false, BindOptions: { Propagation: "up" } },
      "invalid propagation: up",
    ],
    [{ Type: "volume", Source: "../x", Target: "/b", ReadOnly: false }, "invalid volume name"],
    [{ Type: "tmpfs", Source: "/a", Target: "/b", ReadOnly: false }, "Source must not be specified"],
    [{ Type: "tmpfs", Source: "", Target: "b", ReadOnly: false }, "must be absolute"],
  ] as const)("%o is refused", (mount, words) => expect(() => parseMount(mount)).toThrow(words));
});

describe("requestedMounts", () => {
  const host = (change: Partial<HostConfig>): HostConfig => ({ ...defaultHostConfig, ...change });

  test("parents come before what lies in them; the user's win over the image's", () => {
    const mounts = requestedMounts(
      { Volumes: { "/data": {}, "/var/lib/db": {} } },
      host({ Binds: ["/a:/data/deep", "/d:/data"], Tmpfs: { "/run": "size=1m,ro" } }),
    );
    expect(
      mounts.map(({ type, target, source, options, readOnly }) => [type, target, source, options, readOnly]),
    ).toEqual([
      ["bind", "/data", "/d", "", false],
      ["tmpfs", "/run", "", "size=1m", true],
      ["bind", "/data/deep", "/a", "", false],
      ["volume", "/var/lib/db", "", "", false],
    ]);
  });

  test("two at one target are refused, however they are written", () => {
    expect(() => requestedMounts({ Volumes: {} }, host({ Binds: ["/a:/x/"], Tmpfs: { "/x": "" } }))).toThrow(
      "Duplicate mount point: /x",
    );
  });

  test("anonymous volumes are named once, by the record", () => {
    const made = sampleRecord({ host: host({ Binds: ["named:/n", "/anon"] }) });
    const volumes = volumeUses(requestedMounts(made.config, made.host), () => "fresh");
    expect(volumes).toEqual([
      { name: "named", target: "/n", anonymous: false },
      { name: "fresh", target: "/anon", anonymous: true },
    ]);
    const record = { ...made, volumes };
    expect(mountsOf(record).map(({ name }) => name)).toEqual(["named", "fresh"]);
    expect(mountsOf(record)).toBe(mountsOf(record));
  });
});
