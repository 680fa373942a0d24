import { expect, test } from "bun:test";
import type { OciProcess } from "../oci-types.ts";
import { commands } from "./commands.ts";
import { execProcess, parseUser } from "./exec-process.ts";
import { parseFlags } from "./flags.ts";

const config = {
  ociVersion: "1.0.2",
  process: {
    cwd: "/work",
    args: ["sleep", "9"],
    env: ["PATH=/bin", "A=1"],
    terminal: true,
    consoleSize: { height: 1, width: 2 },
    user: { uid: 5, gid: 6, additionalGids: [7] },
    capabilities: { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
    noNewPrivileges: true,
  },
};

const made = (...args: string[]): OciProcess => {
  const flags = parseFlags(commands["exec"]?.flags ?? {}, args);
  return execProcess(config, flags.words, flags, []);
};

test("an exec has what the container's process has, but its own command and no terminal", () => {
  expect(made("ls", "-l")).toEqual({
    cwd: "/work",
    args: ["ls", "-l"],
    env: ["PATH=/bin", "A=1"],
    terminal: false,
    user: { uid: 5, gid: 6, additionalGids: [7] },
    capabilities: config.process.capabilities,
    noNewPrivileges: true,
  });
});

test("flags change it", () => {
  const args = [
    "--cwd",
    "/x",
    "-e",
    "B=2",
    "-t",
    "-u",
    "1:2",
    "-g",
    "3",
    "--cap",
    "CAP_CHOWN",
    "--no-new-privs=false",
  ];
  expect(made(...args, "--apparmor", "p", "--process-label", "l", "ls")).toMatchObject({
    cwd: "/x",
    env: ["PATH=/bin", "A=1", "B=2"],
    terminal: true,
    user: { uid: 1, gid: 2, additionalGids: [7, 3] },
    apparmorProfile: "p",
    selinuxLabel: "l",
    noNewPrivileges: false,
    capabilities: {
      bounding: ["CAP_KILL", "CAP_CHOWN"],
      effective: ["CAP_KILL", "CAP_CHOWN"],
      permitted: ["CAP_KILL", "CAP_CHOWN"],
    },
  });
  expect(made(...args, "ls").capabilities).not.toHaveProperty("inheritable");
});

test.each([
  ["1", { uid: 1 }],
  ["1:2", { uid: 1, gid: 2 }],
] as const)("user %s", (word, want) => {
  expect(parseUser(word)).toEqual(want);
});

test.each(["root", "1:x", "-1", "1.5"])("user %s is no number", (word) => {
  expect(() => parseUser(word)).toThrow("is not a number");
});
