import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";

import { compileSeccomp } from "./compile-seccomp.ts";
import { defaultSeccompProfile } from "./default-profile.ts";
import { runFilter } from "./interpreter.test-data.ts";
import type { SeccompArgument, SeccompProfile } from "./profile.ts";
import { seccompArchitectures } from "./architectures.ts";
import { syscallNumber } from "./syscalls.ts";

const archValue = { x86_64: 0xc000003e, x86: 0x40000003, aarch64: 0xc00000b7 } as const;
const specNames = {
  x86_64: "SCMP_ARCH_X86_64",
  x86: "SCMP_ARCH_X86_64",
  aarch64: "SCMP_ARCH_AARCH64",
} as const;
const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const ERRNO = 0x00050000;
const [EPERM, ENOSYS] = [ERRNO | 1, ERRNO | 38];
const max64 = 2n ** 64n - 1n;

type Arch = keyof typeof archValue;

function verdictOf(
  profile: SeccompProfile,
  arch: Arch,
  call: string | number,
  ...args: readonly bigint[]
): number {
  const native = specNames[arch];
  const number = typeof call === "number" ? call : syscallNumber(arch, call);
  if (number === undefined) throw new Error(`${call} is not a call of ${arch}`);
  return runFilter(compileSeccomp(profile, native).program, { number, arch: archValue[arch], args });
}

describe("numbers", () => {
  test.each([
    ["x86_64", "read", 0],
    ["x86_64", "execve", 59],
    ["x86_64", "rseq", 334],
    ["x86_64", "clone3", 435],
    ["x86_64", "fchmodat2", 452],
    ["x86", "socketcall", 102],
    ["x86", "clock_settime64", 404],
    ["x86", "clone3", 435],
    ["aarch64", "read", 63],
    ["aarch64", "openat", 56],
    ["aarch64", "clone", 220],
    ["aarch64", "newfstatat", 79],
    ["aarch64", "renameat", 38],
  ] as const)("%s %s is %d", (arch, name, want) => {
    expect(syscallNumber(arch, name)).toBe(want);
  });

  test("aarch64 has no call that only old architectures have", () => {
    for (const name of ["open", "fork", "stat", "chmod"])
      expect(syscallNumber("aarch64", name)).toBeUndefined();
  });
});

describe("Docker's default profile", () => {
  const plain = defaultSeccompProfile(["CAP_CHOWN", "CAP_NET_RAW"]);
  const admin = defaultSeccompProfile(["CAP_SYS_ADMIN"]);
  const newNet = 0x40000000n;

  test.each([
    ["read", [], ALLOW],
    ["execve", [], ALLOW],
    ["ptrace", [], ALLOW],
    ["arch_prctl", [], ALLOW],
    ["fchmodat2", [], ALLOW],
    ["mount", [], EPERM],
    ["unshare", [], EPERM],
    ["setns", [], EPERM],
    ["bpf", [], EPERM],
    ["init_module", [], EPERM],
    ["keyctl", [], EPERM],
    ["add_key", [], EPERM],
    ["io_uring_setup", [], EPERM],
    ["userfaultfd", [], EPERM],
    ["chroot", [], EPERM],
    ["clone3", [], ENOSYS],
    ["clone", [0x11n], ALLOW],
    ["clone", [0x11n | newNet], EPERM],
    ["clone", [0x10000000n], EPERM],
    ["clone", [0x00020000n], EPERM],
    ["clone", [(1n << 40n) | 0x11n], ALLOW],
    ["socket", [2n], ALLOW],
    ["socket", [37n], ALLOW],
    ["socket", [38n], EPERM],
    ["socket", [39n], ALLOW],
    ["socket", [40n], EPERM],
    ["socket", [41n], ALLOW],
    ["personality", [0n], ALLOW],
    ["personality", [0x20008n], ALLOW],
    ["personality", [0xffffffffn], ALLOW],
    ["personality", [max64], EPERM],
    ["personality", [0x40000n], EPERM],
    [335, [], ALLOW],
    [336, [], EPERM],
    [470, [], ENOSYS],
    [100_000, [], ENOSYS],
  ] as const)("%s %p on x86_64", (call, args, want) => {
    expect(verdictOf(plain, "x86_64", call, ...args)).toBe(want);
  });

  test.each([
    ["x86", "read", ALLOW],
    ["x86", "mount", EPERM],
    ["x86", "waitpid", ALLOW],
    ["x86", "clock_settime64", EPERM],
    ["aarch64", "read", ALLOW],
    ["aarch64", "mount", EPERM],
    ["aarch64", "clone3", ENOSYS],
  ] as const)("%s %s", (arch, call, want) => {
    expect(verdictOf(plain, arch, call)).toBe(want);
  });

  test("capabilities open their calls and nothing else", () => {
    expect(verdictOf(admin, "x86_64", "mount")).toBe(ALLOW);
    expect(verdictOf(admin, "x86_64", "clone", newNet)).toBe(ALLOW);
    expect(verdictOf(admin, "x86_64", "clone3")).toBe(ALLOW);
    expect(verdictOf(admin, "x86_64", "reboot")).toBe(EPERM);
    expect(verdictOf(defaultSeccompProfile(["CAP_SYS_TIME"]), "x86_64", "clock_settime")).toBe(ALLOW);
    expect(verdictOf(defaultSeccompProfile(["toString", "CAP_NOTHING"]), "x86_64", "mount")).toBe(EPERM);
  });

  test("an x32 call, which is the same architecture with one bit, gets past no rule", () => {
    for (const number of [0x40000000, 0x40000000 + 165, 0x7fffffff, 0xffffffff]) {
      expect(verdictOf(plain, "x86_64", number)).toBe(ENOSYS);
    }
  });

  test("a foreign architecture is killed", () => {
    const { program } = compileSeccomp(plain, "SCMP_ARCH_X86_64");
    expect(runFilter(program, { number: 0, arch: archValue.aarch64 })).toBe(KILL_PROCESS);
    const { program: onlyNative } = compileSeccomp({ defaultAction: "SCMP_ACT_ALLOW" }, "SCMP_ARCH_X86_64");
    expect(runFilter(onlyNative, { number: 0, arch: archValue.x86 })).toBe(KILL_PROCESS);
  });

  test("the same capabilities give the same object and program", () => {
    expect(defaultSeccompProfile(["CAP_NET_RAW"])).toBe(plain);
    expect(compileSeccomp(plain)).toBe(compileSeccomp(plain));
    for (let i = 0; i < 40; i++)
      defaultSeccompProfile(i % 2 === 0 ? [`CAP_${i}`] : ["CAP_BPF", "CAP_SYSLOG"]);
    expect(defaultSeccompProfile([])).toBe(plain);
  });

  test("a search takes few steps", () => {
    expect(compileSeccomp(plain, "SCMP_ARCH_X86_64").program.length / 8).toBeLessThan(400);
  });
});

describe("actions, flags and mistakes", () => {
  const with_ = (profile: Partial<SeccompProfile>): SeccompProfile => ({
    defaultAction: "SCMP_ACT_ALLOW",
    ...profile,
  });

  test.each([
    ["SCMP_ACT_KILL", undefined, 0],
    ["SCMP_ACT_KILL_THREAD", undefined, 0],
    ["SCMP_ACT_KILL_PROCESS", undefined, KILL_PROCESS],
    ["SCMP_ACT_TRAP", undefined, 0x30000],
    ["SCMP_ACT_ERRNO", undefined, EPERM],
    ["SCMP_ACT_ERRNO", 13, ERRNO | 13],
    ["SCMP_ACT_ERRNO", 0, ERRNO],
    ["SCMP_ACT_TRACE", 7, 0x7ff00007],
    ["SCMP_ACT_ALLOW", 13, ALLOW],
    ["SCMP_ACT_LOG", undefined, 0x7ffc0000],
    ["SCMP_ACT_NOTIFY", undefined, 0x7fc00000],
  ] as const)("%s %p", (action, errno, want) => {
    const rule = { names: ["mkdir"], action, ...(errno === undefined ? {} : { errnoRet: errno }) };
    expect(verdictOf(with_({ syscalls: [rule] }), "x86_64", "mkdir")).toBe(want);
    expect(verdictOf(with_({ syscalls: [rule] }), "x86_64", "rmdir")).toBe(ALLOW);
  });

  test("a default action that refuses turns into ENOSYS for calls of the future", () => {
    const rules = [{ names: ["write"], action: "SCMP_ACT_ALLOW" }] as const;
    const future = (defaultAction: SeccompProfile["defaultAction"]): number =>
      verdictOf({ defaultAction, syscalls: rules }, "x86_64", 5000);
    expect(future("SCMP_ACT_ERRNO")).toBe(ENOSYS);
    expect(future("SCMP_ACT_KILL_PROCESS")).toBe(ENOSYS);
    expect(future("SCMP_ACT_TRAP")).toBe(ENOSYS);
    expect(future("SCMP_ACT_ALLOW")).toBe(ALLOW);
    expect(future("SCMP_ACT_LOG")).toBe(0x7ffc0000);
  });

  test.each([
    [undefined, 4],
    [[], 0],
    [["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"], 2],
    // Of use, and taken by the kernel, only with a listener.
    [["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], 0],
  ] as const)("flags %p", (flags, want) => {
    expect(compileSeccomp(with_(flags === undefined ? {} : { flags })).flags).toBe(want);
  });

  const argument = (change: object): SeccompProfile =>
    JSON.parse(
      JSON.stringify(
        with_({
          syscalls: [
            {
              names: ["read"],
              action: "SCMP_ACT_ERRNO",
              args: [{ index: 0, value: 1, op: "SCMP_CMP_EQ", ...change }],
            },
          ],
        }),
      ),
    );
  test.each([
    ["action", JSON.parse('{"defaultAction":"SCMP_ACT_NOPE"}'), 'unknown action "SCMP_ACT_NOPE"'],
    ["flag", with_({ flags: ["X"] }), 'there is no flag "X"'],
    ["errno", { defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 70_000 }, "errnoRet 70000"],
    ["index", argument({ index: 6 }), "index 6"],
    ["negative value", argument({ value: -1 }), "-1 is negative"],
    ["fraction", argument({ value: 1.5 }), "1.5 is not an integer"],
    ["operator", argument({ op: "SCMP_CMP_XX" }), 'operator "SCMP_CMP_XX"'],
  ] as const)("a wrong %s is refused", (_, profile: SeccompProfile, words) => {
    expect(() => compileSeccomp(profile)).toThrow(words);
  });

  test("a profile that is too long is refused, however it is built", () => {
    const rules = Array.from({ length: 5000 }, (_, value) => ({
      names: ["read"],
      action: "SCMP_ACT_ERRNO" as const,
      args: [{ index: 1, value, op: "SCMP_CMP_EQ" as const }],
    }));
    expect(() => compileSeccomp(with_({ syscalls: rules }))).toThrow("4096 instructions");
  });

  test("more rules than a conditional jump can pass over", () => {
    const rules = Array.from({ length: 300 }, (_, value) => ({
      names: ["read"],
      action: "SCMP_ACT_ERRNO" as const,
      errnoRet: 100 + value,
      args: [
        { index: 1, value, op: "SCMP_CMP_EQ" as const },
        { index: 2, value: 9, op: "SCMP_CMP_GE" as const },
      ],
    }));
    const profile = with_({ syscalls: rules });
    for (const value of [0, 1, 57, 158, 299]) {
      expect(verdictOf(profile, "x86_64", "read", 0n, BigInt(value), 9n)).toBe(ERRNO | (100 + value));
      expect(verdictOf(profile, "x86_64", "read", 0n, BigInt(value), 8n)).toBe(ALLOW);
    }
    expect(verdictOf(profile, "x86_64", "read", 0n, 300n, 9n)).toBe(ALLOW);
    expect(verdictOf(profile, "x86_64", "write", 0n, 1n, 9n)).toBe(ALLOW);
  });

  test("an index named twice makes alternatives, as in runc", () => {
    const args = [1, 5].map((value) => ({ index: 0, value, op: "SCMP_CMP_EQ" as const }));
    const profile = with_({ syscalls: [{ names: ["read"], action: "SCMP_ACT_ERRNO", args }] });
    expect([1n, 5n, 2n].map((value) => verdictOf(profile, "x86_64", "read", value))).toEqual([
      EPERM,
      EPERM,
      ALLOW,
    ]);
  });

  test("the largest 64 bit value survives JSON", () => {
    const profile = argument({ value: Number(max64) });
    expect(verdictOf(profile, "x86_64", "read", max64)).toBe(EPERM);
    expect(verdictOf(profile, "x86_64", "read", 0n)).toBe(ALLOW);
  });
});

describe("any profile does what the rules say one by one", () => {
  const holds: Record<SeccompArgument["op"], (a: bigint, value: bigint, two: bigint) => boolean> = {
    SCMP_CMP_EQ: (a, value) => a === value,
    SCMP_CMP_NE: (a, value) => a !== value,
    SCMP_CMP_LT: (a, value) => a < value,
    SCMP_CMP_LE: (a, value) => a <= value,
    SCMP_CMP_GT: (a, value) => a > value,
    SCMP_CMP_GE: (a, value) => a >= value,
    SCMP_CMP_MASKED_EQ: (a, mask, two) => (a & mask) === (two & mask),
  };
  const ops = Object.keys(holds) as SeccompArgument["op"][];
  const names = ["read", "write", "open", "close", "mmap", "socket", "clone3", "mseal"];
  // Few distinct halves, so that equal high and low words meet often.
  const half = fc.constantFrom(0n, 1n, 2n, 0x7fffffffn, 0x80000000n, 0xffffffffn);
  const wide = fc.tuple(half, half).map(([high, low]) => (high << 32n) | low);
  const argument = fc.record({
    index: fc.integer({ min: 0, max: 5 }),
    value: wide,
    valueTwo: wide,
    op: fc.constantFrom(...ops),
  });
  const rule = fc.record({
    names: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 4 }),
    action: fc.constant("SCMP_ACT_ERRNO" as const),
    errnoRet: fc.integer({ min: 2, max: 37 }),
    args: fc.uniqueArray(argument, { maxLength: 3, selector: (one) => one.index }),
  });

  function expected(profile: SeccompProfile, name: string, args: readonly bigint[]): number {
    const mine = (profile.syscalls ?? []).filter((one) => one.names.includes(name));
    const plain = mine.find((one) => (one.args ?? []).length === 0);
    const hit = mine.find(
      ({ args: wanted = [] }) =>
        wanted.length > 0 &&
        wanted.every(({ index, op, value, valueTwo = 0n }) =>
          holds[op](args[index] ?? 0n, BigInt(value), BigInt(valueTwo)),
        ),
    );
    const chosen = plain ?? hit;
    return chosen === undefined ? ALLOW : ERRNO | (chosen.errnoRet ?? 1);
  }

  test("property", () => {
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 12 }),
        fc.constantFrom(...names, "rmdir"),
        fc.array(wide, { minLength: 6, maxLength: 6 }),
        (syscalls, name, args) => {
          const profile: SeccompProfile = { defaultAction: "SCMP_ACT_ALLOW", syscalls };
          expect(verdictOf(profile, "x86_64", name, ...args)).toBe(expected(profile, name, args));
        },
      ),
      { numRuns: 1500 },
    );
  });
});

describe("every architecture", () => {
  const profile: SeccompProfile = {
    defaultAction: "SCMP_ACT_KILL_PROCESS",
    syscalls: [
      { names: ["exit_group", "no_such_call"], action: "SCMP_ACT_ALLOW" },
      { names: ["close"], action: "SCMP_ACT_ERRNO", errnoRet: 9 },
      {
        names: ["ioctl"],
        action: "SCMP_ACT_TRACE",
        errnoRet: 7,
        args: [{ index: 1, value: 0x1_0000_0002, op: "SCMP_CMP_EQ" }],
      },
    ],
  };

  test.each(Object.keys(seccompArchitectures))("%s", (name) => {
    const {
      row,
      audit,
      base = 0,
      bigEndian,
      narrow,
    } = seccompArchitectures[name] ?? { row: "x86", audit: 0 };
    const native = name === "SCMP_ARCH_X32" ? "SCMP_ARCH_X86_64" : name;
    const { program } = compileSeccomp({ ...profile, architectures: [name] }, native);
    const verdict = (call: string | number, ...args: readonly bigint[]): number =>
      runFilter(program, {
        number: base + (typeof call === "number" ? call : (syscallNumber(row, call) ?? -1)),
        arch: audit,
        args,
        bigEndian: bigEndian === true,
      });
    expect(verdict("exit_group")).toBe(ALLOW);
    expect(verdict("close")).toBe(ERRNO | 9);
    expect(verdict("ioctl", 0n, 0x1_0000_0002n)).toBe(0x7ff00007);
    expect(verdict("ioctl", 0n, 2n)).toBe(narrow === true ? 0x7ff00007 : KILL_PROCESS);
    expect(verdict("ioctl", 0n, 0x2_0000_0001n)).toBe(KILL_PROCESS);
    expect(verdict("dup")).toBe(KILL_PROCESS);
    expect(verdict(900)).toBe(ENOSYS);
    expect(runFilter(program, { number: 0, arch: 0x1234, bigEndian: bigEndian === true })).toBe(KILL_PROCESS);
  });

  test("an unknown architecture is refused by its name", () => {
    expect(() =>
      compileSeccomp({ defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_Z80"] }),
    ).toThrow('no architecture "SCMP_ARCH_Z80"');
    expect(() => compileSeccomp({ defaultAction: "SCMP_ACT_ALLOW", architectures: ["toString"] })).toThrow();
  });

  test("x32, where it is listed: its own numbers above 511, those of x86_64 below", () => {
    const { program } = compileSeccomp(
      {
        defaultAction: "SCMP_ACT_ERRNO",
        architectures: ["SCMP_ARCH_X32"],
        syscalls: [{ names: ["read", "execve", "pwritev2"], action: "SCMP_ACT_ALLOW" }],
      },
      "SCMP_ARCH_X86_64",
    );
    const verdict = (number: number): number => runFilter(program, { number, arch: archValue.x86_64 });
    const bit = 0x40000000;
    expect([0, bit, bit + 520, bit + 547].map(verdict)).toEqual([ALLOW, ALLOW, ALLOW, ALLOW]);
    expect([bit + 1, bit + 512, bit + 521].map(verdict)).toEqual([EPERM, EPERM, EPERM]);
    expect([bit + 548, 0xffffffff, 500].map(verdict)).toEqual([ENOSYS, ENOSYS, ENOSYS]);
  });

  test("calls inside socketcall and ipc follow the rules without arguments", () => {
    const { program } = compileSeccomp(
      {
        defaultAction: "SCMP_ACT_ERRNO",
        architectures: ["SCMP_ARCH_X86"],
        syscalls: [{ names: ["socket", "shmat"], action: "SCMP_ACT_ALLOW" }],
      },
      "SCMP_ARCH_X86_64",
    );
    const verdict = (number: number, first: bigint): number =>
      runFilter(program, { number, arch: archValue.x86, args: [first] });
    expect([verdict(102, 1n), verdict(102, 2n), verdict(359, 9n)]).toEqual([ALLOW, EPERM, ALLOW]);
    expect([verdict(117, 21n), verdict(117, 22n)]).toEqual([ALLOW, EPERM]);
  });
});

describe("rules as libseccomp and runc have them", () => {
  const mkdir = (...rules: readonly object[]): SeccompProfile =>
    JSON.parse(
      JSON.stringify({
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: rules.map((rule) => ({ names: ["mkdir"], ...rule })),
      }),
    );
  const one = [{ index: 0, value: 1, op: "SCMP_CMP_EQ" }];
  const errno = (errnoRet: number, args?: object): object => ({ action: "SCMP_ACT_ERRNO", errnoRet, args });

  test.each([
    ["the first rule without arguments decides", mkdir(errno(2), errno(3)), 1n, ERRNO | 2],
    ["it also decides over rules with arguments before it", mkdir(errno(2, one), errno(3)), 1n, ERRNO | 3],
    ["and after it", mkdir(errno(3), errno(2, one)), 1n, ERRNO | 3],
    [
      "a rule that says what the default says is none",
      mkdir({ action: "SCMP_ACT_ALLOW" }, errno(3)),
      1n,
      ERRNO | 3,
    ],
  ] as const)("%s", (_, profile, first, want) => {
    expect(verdictOf(profile, "x86_64", "mkdir", first)).toBe(want);
  });

  test.each([
    ["default", { defaultAction: "SCMP_ACT_NOTIFY" }, "SCMP_ACT_NOTIFY cannot be used as default action"],
    [
      "write",
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["write"], action: "SCMP_ACT_NOTIFY" }] },
      "SCMP_ACT_NOTIFY cannot be used for the write syscall",
    ],
    [
      "empty",
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: [""], action: "SCMP_ACT_LOG" }] },
      "empty text",
    ],
  ])("%s is refused", (_, profile, words) => {
    expect(() => compileSeccomp(JSON.parse(JSON.stringify(profile)))).toThrow(words);
  });

  test("a listener's flags", () => {
    const profile = (flags: readonly string[]): SeccompProfile => ({
      defaultAction: "SCMP_ACT_ALLOW",
      flags,
      syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
    });
    const all = ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"];
    expect(compileSeccomp(profile(all))).toMatchObject({ flags: 32, notifies: true });
  });
});
