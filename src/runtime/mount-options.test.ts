import { describe, expect, test } from "bun:test";
import { mountAttr as a, mountFlags as m } from "../kernel/index.ts";
import {
  knownMountOptions,
  parseMountOptions,
  parsePropagation,
  superOptions,
  unnamedAttributes,
} from "./mount-options.ts";

const rights = a.MOUNT_ATTR_RDONLY | a.MOUNT_ATTR_NOSUID | a.MOUNT_ATTR_NODEV | a.MOUNT_ATTR_NOEXEC;
const atime = a.MOUNT_ATTR__ATIME;

describe("flags of the mount itself, as runc's table has them", () => {
  test.each([
    ["ro", m.MS_RDONLY, a.MOUNT_ATTR_RDONLY, 0n],
    ["rw", 0n, 0n, a.MOUNT_ATTR_RDONLY],
    ["nosuid", m.MS_NOSUID, a.MOUNT_ATTR_NOSUID, 0n],
    ["suid", 0n, 0n, a.MOUNT_ATTR_NOSUID],
    ["nodev", m.MS_NODEV, a.MOUNT_ATTR_NODEV, 0n],
    ["dev", 0n, 0n, a.MOUNT_ATTR_NODEV],
    ["noexec", m.MS_NOEXEC, a.MOUNT_ATTR_NOEXEC, 0n],
    ["exec", 0n, 0n, a.MOUNT_ATTR_NOEXEC],
    ["nodiratime", m.MS_NODIRATIME, a.MOUNT_ATTR_NODIRATIME, 0n],
    ["diratime", 0n, 0n, a.MOUNT_ATTR_NODIRATIME],
    ["nosymfollow", m.MS_NOSYMFOLLOW, a.MOUNT_ATTR_NOSYMFOLLOW, 0n],
    ["symfollow", 0n, 0n, a.MOUNT_ATTR_NOSYMFOLLOW],
    ["noatime", m.MS_NOATIME, a.MOUNT_ATTR_NOATIME, atime],
    ["strictatime", m.MS_STRICTATIME, a.MOUNT_ATTR_STRICTATIME, atime],
    ["relatime", m.MS_RELATIME, 0n, atime],
    ["atime", 0n, 0n, 0n],
    ["norelatime", 0n, 0n, 0n],
    ["nostrictatime", 0n, 0n, 0n],
    ["sync", m.MS_SYNCHRONOUS, 0n, 0n],
    ["async", 0n, 0n, 0n],
    ["dirsync", m.MS_DIRSYNC, 0n, 0n],
    ["mand", m.MS_MANDLOCK, 0n, 0n],
    ["nomand", 0n, 0n, 0n],
    ["silent", m.MS_SILENT, 0n, 0n],
    ["loud", 0n, 0n, 0n],
    ["iversion", m.MS_I_VERSION, 0n, 0n],
    ["noiversion", 0n, 0n, 0n],
    ["lazytime", m.MS_LAZYTIME, 0n, 0n],
    ["nolazytime", 0n, 0n, 0n],
    ["defaults", 0n, 0n, 0n],
  ] as const)("%s", (word, flags, set, clear) => {
    expect(parseMountOptions([word])).toMatchObject({ flags, set, clear, data: "", propagation: 0n });
  });

  test.each([
    [["ro", "rw"], 0n, 0n, a.MOUNT_ATTR_RDONLY],
    [["rw", "ro"], m.MS_RDONLY, a.MOUNT_ATTR_RDONLY, 0n],
    [["noatime", "strictatime"], m.MS_STRICTATIME, a.MOUNT_ATTR_STRICTATIME, atime],
    [["noatime", "atime"], 0n, a.MOUNT_ATTR_NOATIME, atime],
    [["sync", "async"], 0n, 0n, 0n],
  ] as const)("the last of %j wins", (words, flags, set, clear) => {
    expect(parseMountOptions(words)).toMatchObject({ flags, set, clear });
  });
});

describe("attributes of all below", () => {
  test.each([
    ["rro", a.MOUNT_ATTR_RDONLY, 0n],
    ["rrw", 0n, a.MOUNT_ATTR_RDONLY],
    ["rnosuid", a.MOUNT_ATTR_NOSUID, 0n],
    ["rsuid", 0n, a.MOUNT_ATTR_NOSUID],
    ["rnodev", a.MOUNT_ATTR_NODEV, 0n],
    ["rdev", 0n, a.MOUNT_ATTR_NODEV],
    ["rnoexec", a.MOUNT_ATTR_NOEXEC, 0n],
    ["rexec", 0n, a.MOUNT_ATTR_NOEXEC],
    ["rnodiratime", a.MOUNT_ATTR_NODIRATIME, 0n],
    ["rdiratime", 0n, a.MOUNT_ATTR_NODIRATIME],
    ["rnosymfollow", a.MOUNT_ATTR_NOSYMFOLLOW, 0n],
    ["rsymfollow", 0n, a.MOUNT_ATTR_NOSYMFOLLOW],
    ["rnoatime", a.MOUNT_ATTR_NOATIME, atime],
    ["ratime", 0n, atime],
    ["rrelatime", 0n, atime],
    ["rnorelatime", 0n, atime],
    ["rstrictatime", a.MOUNT_ATTR_STRICTATIME, atime],
    ["rnostrictatime", 0n, atime],
  ] as const)("%s", (word, belowSet, belowClear) => {
    expect(parseMountOptions([word])).toMatchObject({ belowSet, belowClear, set: 0n, clear: 0n, flags: 0n });
  });

  test("the mount itself can have others", () => {
    expect(parseMountOptions(["nosuid", "rro"])).toMatchObject({
      set: a.MOUNT_ATTR_NOSUID,
      belowSet: a.MOUNT_ATTR_RDONLY,
    });
  });
});

describe("what a bind must not have once attributes are named", () => {
  test.each([
    [[], 0n],
    [["rbind", "rprivate"], 0n],
    [["rro"], 0n],
    [["ro"], (rights | a.MOUNT_ATTR_NOSYMFOLLOW) & ~a.MOUNT_ATTR_RDONLY],
    [["dev"], (rights | a.MOUNT_ATTR_NOSYMFOLLOW) & ~a.MOUNT_ATTR_NODEV],
    [["relatime"], rights | a.MOUNT_ATTR_NOSYMFOLLOW | a.MOUNT_ATTR_NODIRATIME],
    [["atime"], rights | a.MOUNT_ATTR_NOSYMFOLLOW],
    [["nodiratime"], rights | a.MOUNT_ATTR_NOSYMFOLLOW | atime],
    [["nodiratime", "strictatime"], rights | a.MOUNT_ATTR_NOSYMFOLLOW],
  ] as const)("%j", (words, unnamed) => {
    expect(unnamedAttributes(parseMountOptions(words))).toBe(unnamed);
  });
});

describe("propagation", () => {
  test.each([
    ["private", m.MS_PRIVATE],
    ["rprivate", m.MS_PRIVATE | m.MS_REC],
    ["slave", m.MS_SLAVE],
    ["rslave", m.MS_SLAVE | m.MS_REC],
    ["shared", m.MS_SHARED],
    ["rshared", m.MS_SHARED | m.MS_REC],
    ["unbindable", m.MS_UNBINDABLE],
    ["runbindable", m.MS_UNBINDABLE | m.MS_REC],
  ] as const)("%s", (word, flags) => {
    expect(parsePropagation(word)).toBe(flags);
    expect(parseMountOptions([word]).propagation).toBe(flags);
  });

  test("the last wins, but a slave can share with peers of its own", () => {
    expect(parseMountOptions(["rshared", "rprivate"]).propagation).toBe(m.MS_PRIVATE | m.MS_REC);
    expect(parseMountOptions(["rslave", "rshared"]).propagation).toBe(m.MS_SLAVE | m.MS_SHARED | m.MS_REC);
    expect(parseMountOptions(["rshared", "rslave"]).propagation).toBe(m.MS_SLAVE | m.MS_REC);
  });

  test("no word, no flags", () => expect(parsePropagation("everywhere")).toBeUndefined());
});

test("words of our own and of the file system", () => {
  expect(
    parseMountOptions([
      "rbind",
      "ro",
      "size=1m",
      "",
      "mode=1777",
      "tmpcopyup",
      "src-nofollow",
      "dest-nofollow",
      "copy-symlink",
      "ridmap",
    ]),
  ).toMatchObject({
    bind: true,
    flags: m.MS_REC | m.MS_RDONLY,
    readonly: true,
    data: "size=1m,mode=1777",
    copyUp: true,
    sourceLink: true,
    placeLink: true,
    copySymlink: true,
    idmap: "ridmap",
    remount: false,
  });
  expect(parseMountOptions(["rsync", "rmand"]).data).toBe("");
  expect(parseMountOptions(["really=1", "acl"]).data).toBe("really=1,acl");
});

test("what belongs to the file system goes to it in its own words", () => {
  expect(superOptions(m.MS_SYNCHRONOUS | m.MS_DIRSYNC | m.MS_MANDLOCK | m.MS_LAZYTIME)).toEqual([
    "sync",
    "dirsync",
    "mand",
    "lazytime",
  ]);
  expect(superOptions(m.MS_RDONLY | m.MS_I_VERSION | m.MS_SILENT)).toEqual([]);
});

test("every known word is taken", () => {
  for (const word of knownMountOptions) expect([word, parseMountOptions([word]).data]).toEqual([word, ""]);
  expect(new Set(knownMountOptions).size).toBe(knownMountOptions.length);
});
