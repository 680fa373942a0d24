import { expect, test } from "bun:test";
import { parseMountOptions } from "../mount-options.ts";
import { featuresDocument } from "./features-document.ts";
import { jsonText } from "./json-text.ts";

const features = JSON.parse(jsonText(featuresDocument("6.1.0-13-amd64")));

test("the document has every part of runtime-spec 1.3", () => {
  expect(Object.keys(features)).toEqual([
    "ociVersionMin",
    "ociVersionMax",
    "hooks",
    "mountOptions",
    "linux",
    "annotations",
    "potentiallyUnsafeConfigAnnotations",
  ]);
  expect(Object.keys(features.linux)).toEqual([
    "namespaces",
    "capabilities",
    "cgroup",
    "seccomp",
    "apparmor",
    "selinux",
    "intelRdt",
    "memoryPolicy",
    "mountExtensions",
    "netDevices",
  ]);
  expect(features).toMatchObject({ ociVersionMin: "1.0.0", ociVersionMax: "1.3.0" });
  expect(features.linux.capabilities).toHaveLength(41);
  expect(features.linux.capabilities[0]).toBe("CAP_CHOWN");
});

test("every named mount option is understood, none goes to the file system", () => {
  expect(features.mountOptions.length).toBeGreaterThan(60);
  for (const option of features.mountOptions)
    expect([option, parseMountOptions([option]).data]).toEqual([option, ""]);
});

test("what runc 1.1 names is named", () => {
  for (const option of [
    "bind",
    "rbind",
    "rro",
    "rnosymfollow",
    "tmpcopyup",
    "rstrictatime",
    "unbindable",
    "remount",
  ])
    expect(features.mountOptions).toContain(option);
  for (const type of ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"])
    expect(features.linux.namespaces).toContain(type);
  expect(features.linux.seccomp.actions).toContain("SCMP_ACT_NOTIFY");
  expect(features.linux.seccomp.operators).toHaveLength(7);
  expect(features.linux.seccomp.archs).toContain("SCMP_ARCH_S390X");
});

test("the kernel decides which seccomp flags are supported", () => {
  const old = JSON.parse(jsonText(featuresDocument("4.15.0")));
  expect(old.linux.seccomp.supportedFlags).toEqual(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]);
  expect(features.linux.seccomp.supportedFlags).toEqual(features.linux.seccomp.knownFlags);
});
