import { describe, expect, test } from "bun:test";
import type { ContainerDefaults } from "../../image/index.ts";
import type { ContainerConfig } from "../container.ts";
import { defaultConfig } from "../create-defaults.ts";
import { mergeConfig, mergeEnv } from "./merge-config.ts";

const id = "0123456789ab".padEnd(64, "f");
const image: ContainerDefaults = {
  Entrypoint: ["/entry"],
  Cmd: ["serve"],
  Env: ["PATH=/bin", "LANG=C"],
  User: "web",
  WorkingDir: "/srv",
  ExposedPorts: { "80/tcp": {} },
  Volumes: { "/data": {} },
  Labels: { a: "image", b: "image" },
  StopSignal: "SIGQUIT",
  StopTimeout: 3,
};

function merge(
  change: Partial<ContainerConfig>,
  more: { entrypointSet?: boolean; NetworkMode?: string; UTSMode?: string } = {},
): ContainerConfig {
  const { entrypointSet = false, NetworkMode = "default", UTSMode = "" } = more;
  return mergeConfig(
    {
      id,
      config: { ...defaultConfig, ...change },
      entrypointSet,
      host: { NetworkMode, UTSMode },
      hostname: "machine",
    },
    image,
  );
}

describe("the command", () => {
  test.each([
    ["the image's", {}, false, ["/entry"], ["serve"]],
    ["arguments replace the image's command", { Cmd: ["x"] }, false, ["/entry"], ["x"]],
    ["an entrypoint drops the image's command", { Entrypoint: ["/e"] }, true, ["/e"], []],
    ["an entrypoint with arguments", { Entrypoint: ["/e"], Cmd: ["y"] }, true, ["/e"], ["y"]],
    ['--entrypoint ""', { Entrypoint: [""], Cmd: ["sh"] }, true, [], ["sh"]],
  ] as const)("%s", (_, change, entrypointSet, wEntrypoint, wCmd) => {
    expect(merge(change, { entrypointSet })).toMatchObject({ Entrypoint: wEntrypoint, Cmd: wCmd });
  });

  test("none is refused", () => {
    expect(() => merge({ Entrypoint: [""] }, { entrypointSet: true })).toThrow("no command specified");
  });
});

test("everything else: the request's, else the image's; maps are joined", () => {
  expect(merge({})).toMatchObject({
    User: "web",
    WorkingDir: "/srv",
    StopSignal: "SIGQUIT",
    StopTimeout: 3,
    Env: ["PATH=/bin", "LANG=C"],
  });
  expect(
    merge({
      User: "0",
      WorkingDir: "/",
      StopSignal: "SIGINT",
      StopTimeout: 0,
      Labels: { a: "mine" },
      ExposedPorts: { "53/udp": {} },
      Volumes: { "/v": {} },
    }),
  ).toMatchObject({
    User: "0",
    WorkingDir: "/",
    StopSignal: "SIGINT",
    StopTimeout: 0,
    Labels: { a: "mine", b: "image" },
    ExposedPorts: { "80/tcp": {}, "53/udp": {} },
    Volumes: { "/data": {}, "/v": {} },
  });
});

test.each([
  [[], [], []],
  [["A=1", "B=2"], ["A=3"], ["A=3", "B=2"]],
  [["A=1"], ["A"], []],
  [["A=1"], ["A=", "C=x=y"], ["A=", "C=x=y"]],
  [["A=1", "A=2"], [], ["A=2"]],
] as const)("env %o with %o", (base, over, want) => expect(mergeEnv(base, over)).toEqual([...want]));

test.each([
  [{}, {}, id.slice(0, 12)],
  [{ Hostname: "web" }, {}, "web"],
  [{}, { NetworkMode: "host" }, "machine"],
  [{}, { UTSMode: "host" }, "machine"],
] as const)("hostname of %o %o", (change, more, want) => expect(merge(change, more).Hostname).toBe(want));

test("a hostname in the host's UTS namespace is refused", () => {
  expect(() => merge({ Hostname: "x" }, { UTSMode: "host" })).toThrow(
    "conflicting options: hostname and the UTS mode",
  );
});
