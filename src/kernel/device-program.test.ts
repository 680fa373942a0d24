import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";

import { compileDeviceProgram, type DeviceRule } from "./device-program.ts";

interface Access {
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  readonly access: string;
}

const letters: Record<string, number> = { m: 1, r: 2, w: 4 };

/** An eBPF machine with the instructions that the compiler writes. True: allowed. */
function isAllowed(program: Uint8Array, { type, major, minor, access }: Access): boolean {
  const wanted = Array.from(access).reduce((sum, letter) => sum | (letters[letter] ?? 0), 0);
  const context = [((wanted << 16) | (type === "b" ? 1 : 2)) >>> 0, major, minor];
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const registers = Array.from({ length: 11 }, () => 0n);
  for (let at = 0; at * 8 < program.length; at++) {
    const code = view.getUint8(at * 8);
    const to = view.getUint8(at * 8 + 1) & 15;
    const from = view.getUint8(at * 8 + 1) >> 4;
    const offset = view.getInt16(at * 8 + 2, true);
    const value = BigInt.asUintN(64, BigInt(view.getInt32(at * 8 + 4, true)));
    const here = registers[to] ?? 0n;
    if (code === 0x61) registers[to] = BigInt(context[offset / 4] ?? -1);
    else if (code === 0xbf) registers[to] = registers[from] ?? 0n;
    else if (code === 0xb7) registers[to] = value;
    else if (code === 0x57) registers[to] = here & value;
    else if (code === 0x77) registers[to] = here >> value;
    else if (code === 0x55) at += here === value ? 0 : offset;
    else if (code === 0x45) at += (here & value) === 0n ? 0 : offset;
    else if (code === 0x05) at += offset;
    else if (code === 0x95) return registers[0] === 1n;
    else throw new Error(`unknown instruction ${code}`);
  }
  throw new Error("the program ends without an exit");
}

const denyAll: DeviceRule = { allow: false, access: "rwm" };
const nullDevice: DeviceRule = { allow: true, type: "c", major: 1, minor: 3, access: "rwm" };
const anyMknod: DeviceRule = { allow: true, type: "c", access: "m" };
const pts: DeviceRule = { allow: true, type: "c", major: 136, minor: -1, access: "rwm" };

describe("which accesses a list of rules allows", () => {
  test.each([
    ["no rule", [], "c 1:3 r", false],
    ["deny all", [denyAll], "c 1:3 r", false],
    ["its device", [denyAll, nullDevice], "c 1:3 rw", true],
    ["other minor", [denyAll, nullDevice], "c 1:5 r", false],
    ["other major", [denyAll, nullDevice], "c 2:3 r", false],
    ["other type", [denyAll, nullDevice], "b 1:3 r", false],
    ["any minor", [denyAll, pts], "c 136:77 rw", true],
    ["right of any device", [denyAll, anyMknod], "c 9:9 m", true],
    ["only that right", [denyAll, anyMknod], "c 9:9 r", false],
    [
      "rights of two rules",
      [denyAll, { ...nullDevice, access: "r" }, { ...nullDevice, access: "w" }],
      "c 1:3 rw",
      true,
    ],
    ["a right is missing", [denyAll, { ...nullDevice, access: "r" }], "c 1:3 rw", false],
    ["the last rule wins", [nullDevice, denyAll], "c 1:3 r", false],
    ["an exception from all", [{ allow: true }, { allow: false, type: "b", major: 8 }], "b 8:1 r", false],
    ["beside the exception", [{ allow: true }, { allow: false, type: "b", major: 8 }], "b 9:1 r", true],
    [
      "one right taken away",
      [{ allow: true }, { ...nullDevice, allow: false, access: "w" }],
      "c 1:3 r",
      true,
    ],
    [
      "the right taken away",
      [{ allow: true }, { ...nullDevice, allow: false, access: "w" }],
      "c 1:3 rw",
      false,
    ],
    ["type a is any", [{ allow: true, type: "a" }], "b 3:4 rwm", true],
    ["without rights", [{ allow: true, access: "" }], "b 3:4 r", false],
    ["large numbers", [{ allow: true, type: "b", major: 4095, minor: 1048575 }], "b 4095:1048575 w", true],
  ] as const)("%s", (_, rules, asked, want) => {
    const [type = "", numbers = "", access = ""] = asked.split(" ");
    const [major = 0, minor = 0] = numbers.split(":").map(Number);
    expect(
      isAllowed(compileDeviceProgram(rules), { type: type === "b" ? "b" : "c", major, minor, access }),
    ).toBe(want);
  });

  test("any list: for each right, the last rule that names it decides", () => {
    const number = fc.constantFrom(-1, 0, 1, 3);
    const access = fc.constantFrom("r", "w", "m", "rw", "rm", "rwm");
    const rule = fc.record({
      allow: fc.boolean(),
      type: fc.constantFrom("a" as const, "b" as const, "c" as const),
      major: number,
      minor: number,
      access,
    });
    const asked = fc.record({
      type: fc.constantFrom("b" as const, "c" as const),
      major: fc.constantFrom(0, 1, 3),
      minor: fc.constantFrom(0, 1, 3),
      access,
    });
    const decides = (one: DeviceRule, request: Access, letter: string): boolean =>
      (one.type === "a" || one.type === request.type) &&
      (one.major === -1 || one.major === request.major) &&
      (one.minor === -1 || one.minor === request.minor) &&
      (one.access ?? "").includes(letter);
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), asked, (rules, request) => {
        const want = Array.from(request.access).every(
          (letter) => rules.findLast((one) => decides(one, request, letter))?.allow ?? false,
        );
        expect(isAllowed(compileDeviceProgram(rules), request)).toBe(want);
      }),
      { numRuns: 1000 },
    );
  });
});

test("rules before one that decides everything are left out", () => {
  expect(compileDeviceProgram([nullDevice, pts, denyAll])).toEqual(compileDeviceProgram([denyAll]));
});

test.each([
  ["access", { allow: true, access: "rx" }, '"rx" is not of r, w, m'],
  ["major", { allow: true, major: 2 ** 31 }, "major 2147483648"],
  ["minor", { allow: true, minor: -2 }, "minor -2"],
] as const)("a wrong %s is refused", (_, rule, words) => {
  expect(() => compileDeviceProgram([rule])).toThrow(words);
});

test("too many rules are refused", () => {
  expect(() => compileDeviceProgram(Array.from({ length: 257 }, () => nullDevice))).toThrow(
    "257 device rules",
  );
});
