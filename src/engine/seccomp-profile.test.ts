import { describe, expect, test } from "bun:test";
import { resolveSeccompProfile } from "./seccomp-profile.ts";

const rule = (more: object): object => ({ names: ["mount"], action: "SCMP_ACT_ALLOW", ...more });
const names = (rules: readonly object[], capabilities: readonly string[] = [], arch = "x64"): number =>
  resolveSeccompProfile(
    JSON.stringify({ defaultAction: "SCMP_ACT_ERRNO", syscalls: rules }),
    capabilities,
    arch,
  ).syscalls?.length ?? 0;

describe("conditions of Docker's profiles", () => {
  test.each([
    ["none", {}, [], 1],
    ["a capability that is there", { includes: { caps: ["CAP_SYS_ADMIN"] } }, ["CAP_SYS_ADMIN"], 1],
    ["a capability that is not", { includes: { caps: ["CAP_SYS_ADMIN"] } }, [], 0],
    ["excluded by a capability", { excludes: { caps: ["CAP_SYS_ADMIN"] } }, ["CAP_SYS_ADMIN"], 0],
    ["not excluded", { excludes: { caps: ["CAP_SYS_ADMIN"] } }, [], 1],
    ["this architecture", { includes: { arches: ["amd64", "x32"] } }, [], 1],
    ["another architecture", { includes: { arches: ["s390"] } }, [], 0],
    [
      "excluded by the architecture or a capability",
      { excludes: { arches: ["amd64"], caps: ["CAP_X"] } },
      [],
      0,
    ],
    ["an old kernel's", { includes: { minKernel: "4.8" } }, [], 1],
  ] as const)("%s", (_, more, capabilities, want) => expect(names([rule(more)], capabilities)).toBe(want));
});

test("a profile is taken over with its arguments", () => {
  const profile = {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    architectures: ["SCMP_ARCH_X86_64"],
    syscalls: [
      {
        name: "personality",
        action: "SCMP_ACT_ALLOW",
        errnoRet: 5,
        args: [{ index: 0, value: 8, op: "SCMP_CMP_EQ" }],
      },
    ],
  };
  expect(resolveSeccompProfile(JSON.stringify(profile), [])).toEqual({
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    architectures: ["SCMP_ARCH_X86_64"],
    syscalls: [
      {
        names: ["personality"],
        action: "SCMP_ACT_ALLOW",
        errnoRet: 5,
        args: [{ index: 0, value: 8, valueTwo: 0, op: "SCMP_CMP_EQ" }],
      },
    ],
  } as never);
});

test.each([
  ["", "Decoding seccomp profile failed"],
  ["/etc/profile.json", "Decoding seccomp profile failed"],
  ["[]", "must be an object"],
  ["{}", 'defaultAction is ""'],
  ['{"defaultAction":"SCMP_ACT_NOTIFY"}', "SCMP_ACT_NOTIFY"],
  ['{"defaultAction":"SCMP_ACT_ALLOW","syscalls":{}}', "seccomp.syscalls must be a list"],
])("%s is refused", (text, words) => expect(() => resolveSeccompProfile(text, [])).toThrow(words));
