/** The kernel takes the programs that we compile, and does with them what we say. Needs root and gcc. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import {
  compileDeviceProgram,
  compileSeccomp,
  defaultSeccompProfile,
  type DeviceRule,
  type SeccompProfile,
} from "../../src/kernel/index.ts";

const dir = mkdtempSync("/tmp/gantry-bpf-test-");
const loader = join(dir, "load-bpf");

beforeAll(() => {
  const built = Bun.spawnSync(["gcc", "-O1", "-o", loader, resolve(import.meta.dir, "load-bpf.c")]);
  if (built.exitCode !== 0) throw new Error(built.stderr.toString());
});
afterAll(() => rmSync(dir, { recursive: true }));

function load(kind: "device" | "seccomp", program: Uint8Array, flags = 0): string {
  const path = join(dir, "program");
  writeFileSync(path, program);
  return Bun.spawnSync([loader, kind, path, String(flags)]).stdout.toString();
}

describe("device programs pass the verifier", () => {
  const denyAll: DeviceRule = { allow: false, access: "rwm" };
  const many = Array.from({ length: 256 }, (_, minor): DeviceRule => ({
    allow: minor % 2 === 0,
    type: "b",
    major: 8,
    minor,
    access: "rw",
  }));
  test.each([
    ["none", []],
    ["deny all", [denyAll]],
    ["allow all", [{ allow: true }]],
    [
      "Docker's kind",
      [denyAll, { allow: true, type: "c", access: "m" }, { allow: true, type: "c", major: 1, minor: 3 }],
    ],
    [
      "wildcards",
      [
        { allow: true, type: "c", major: 136, minor: -1 },
        { allow: false, minor: 7, access: "w" },
      ],
    ],
    ["as many as are supported", many],
  ] as const)("%s", (_, rules) => {
    expect(load("device", compileDeviceProgram(rules))).toBe("loaded\n");
  });
});

describe("seccomp filters", () => {
  function errnos(profile: SeccompProfile): Record<string, number> {
    const { program, flags } = compileSeccomp(profile);
    const rows = load("seccomp", program, flags).trim().split("\n");
    return Object.fromEntries(
      rows.map((row) => row.split(" ")).map(([name, errno]) => [name, Number(errno)]),
    );
  }

  test("Docker's default profile", () => {
    expect(errnos(defaultSeccompProfile([]))).toEqual({
      getppid: 0,
      unshare: 1,
      clone3: 38,
      "socket-inet": 0,
      "socket-vsock": 1,
      future: 38,
    });
  });

  test("with CAP_SYS_ADMIN", () => {
    // clone3 without arguments gets to the kernel, which finds them invalid.
    expect(errnos(defaultSeccompProfile(["CAP_SYS_ADMIN"]))).toMatchObject({
      unshare: 0,
      clone3: 22,
      "socket-vsock": 1,
    });
  });

  test("a profile of its own", () => {
    const profile: SeccompProfile = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["getppid"], action: "SCMP_ACT_ERRNO", errnoRet: 77 }],
    };
    expect(errnos(profile)).toMatchObject({ getppid: 77, unshare: 0, future: 38 });
  });
});
