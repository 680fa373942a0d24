import { expect, test } from "bun:test";
import { parseEngineFlags } from "./engine-flags.ts";

const plain: ReturnType<typeof parseEngineFlags> = {
  root: "/var/lib/gantry",
  state: "/run/gantry",
  hosts: [],
  debug: false,
  help: false,
  runtimes: {},
  snapshotter: "auto",
  mirrors: [],
  insecureRegistries: [],
  config: undefined,
};

test.each([
  [[], plain],
  [["--root", "/a/", "--state=/b"], { ...plain, root: "/a", state: "/b" }],
  [
    ["-H", "unix:///x", "--host=tcp://:1", "-Htcp://[::1]:2"],
    { ...plain, hosts: ["unix:///x", "tcp://:1", "tcp://[::1]:2"] },
  ],
  [["-D"], { ...plain, debug: true }],
  [
    ["--registry-mirror=https://m", "--insecure-registry", "r:5000", "--config=/c.yaml"],
    { ...plain, mirrors: ["https://m"], insecureRegistries: ["r:5000"], config: "/c.yaml" },
  ],
  [["--snapshotter", "erofs"], { ...plain, snapshotter: "erofs" as const }],
  [["--debug=false", "--help"], { ...plain, help: true }],
])("%j", (words, want) => expect(parseEngineFlags(words)).toEqual(want));

test.each([
  [["--root"], "flag needs an argument: --root"],
  [["--root="], "flag needs an argument: --root"],
  [["--nope"], "unknown flag: --nope"],
  [["now"], "accepts no arguments"],
  [["--snapshotter=btrfs"], "auto, overlay or erofs is wanted"],
  [["--debug=perhaps"], "invalid argument"],
])("%j is refused", (words, message) => expect(() => parseEngineFlags(words)).toThrow(message));
