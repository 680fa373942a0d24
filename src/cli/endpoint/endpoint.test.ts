import { describe, expect, test } from "bun:test";
import { formatTarget, parseTarget } from "../connection/address.ts";
import { type ChosenHost, chooseHost } from "./choose-host.ts";
import { packContext, unpackContext } from "./context-archive.ts";
import { sshWords } from "./ssh-tunnel.ts";

test.each([
  ["unix:///a/b", { is: "unix", path: "/a/b" }],
  ["tcp://host", { is: "tcp", host: "host", port: 2375 }],
  ["tcp://[::1]:99", { is: "tcp", host: "::1", port: 99 }],
  ["ssh://h", { is: "ssh", user: "", host: "h", port: 0, path: "" }],
  [
    "ssh://me@[fe80::1]:22/run/x.sock",
    { is: "ssh", user: "me", host: "fe80::1", port: 22, path: "/run/x.sock" },
  ],
] as const)("target %s", (text, target) => {
  expect(parseTarget(text)).toEqual(target);
  const formatted = formatTarget(target);
  expect(parseTarget(formatted)).toEqual(target);
});

test("with TLS the usual port is another", () => {
  expect(parseTarget("tcp://h", { verify: true })).toEqual({
    is: "tcp",
    host: "h",
    port: 2376,
    tls: { verify: true },
  });
});

test.each([
  "foo://x",
  "unix://",
  "ssh://",
  "ssh://-oProxyCommand=x",
  "ssh://-x@h",
  "ssh://a:b@h",
  "ssh://h?x",
  "tcp://",
])("no target: %s", (text) => {
  expect(() => parseTarget(text)).toThrow("invalid host");
});

describe("the host is chosen", () => {
  const none = { host: "", context: "", stateGiven: false, env: {} };
  const state: ChosenHost = { from: "state" };
  test.each([
    ["from nothing", none, "", state],
    [
      "by -H",
      { ...none, host: "tcp://a", env: { DOCKER_HOST: "tcp://b" } },
      "c",
      { from: "host", text: "tcp://a" },
    ],
    [
      "by --context, before the environment",
      { ...none, context: "x", env: { DOCKER_HOST: "tcp://b" } },
      "",
      { from: "context", name: "x" },
    ],
    [
      "by --state, before the environment",
      { ...none, stateGiven: true, env: { DOCKER_HOST: "tcp://b" } },
      "c",
      state,
    ],
    [
      "by GANTRY_HOST",
      { ...none, env: { DOCKER_HOST: "tcp://b", GANTRY_HOST: "tcp://g" } },
      "c",
      { from: "host", text: "tcp://g" },
    ],
    [
      "by DOCKER_HOST",
      { ...none, env: { DOCKER_HOST: "tcp://b", DOCKER_CONTEXT: "y" } },
      "c",
      { from: "host", text: "tcp://b" },
    ],
    ["by DOCKER_CONTEXT", { ...none, env: { DOCKER_CONTEXT: "y" } }, "c", { from: "context", name: "y" }],
    ["by the current context", none, "c", { from: "context", name: "c" }],
    ["by --context default", { ...none, context: "default" }, "c", state],
  ] as const)("%s", async (_, wishes, current, chosen) => {
    expect(await chooseHost(wishes, async () => current)).toEqual(chosen);
  });

  test("-H and --context contradict each other", async () => {
    const both = chooseHost({ ...none, host: "tcp://a", context: "x" }, async () => "");
    await expect(both).rejects.toThrow("cannot specify both");
  });
});

test("an archive of a context comes back as it was; others are refused", () => {
  const meta = {
    Name: "n",
    Metadata: { Description: "d", other: 1 },
    Endpoints: { docker: { Host: "tcp://h", SkipTLSVerify: true } },
  };
  const tls = { "ca.pem": Buffer.from("ca"), "key.pem": Buffer.from("key") };
  const back = unpackContext(packContext(meta, tls));
  expect(back.meta).toEqual(meta);
  expect(Object.keys(back.tls)).toEqual(["ca.pem", "key.pem"]);
  expect(Buffer.from(back.tls["key.pem"] ?? []).toString()).toBe("key");
  expect(() => unpackContext(new Uint8Array(1024))).toThrow("no meta.json");
});

test("what ssh gets are words of ours; a path cannot leave its quotes", () => {
  const words = sshWords({ is: "ssh", user: "me", host: "h", port: 2222, path: "/it's" });
  expect(words.slice(0, -1)).toEqual(["-o", "ConnectTimeout=30", "-T", "-l", "me", "-p", "2222", "--", "h"]);
  const shown = Bun.spawnSync(["sh", "-c", `set -- ${words.at(-1) ?? ""}; echo "$3"`]).stdout.toString();
  expect(shown).toContain(`gantry -H 'unix:///it'\\''s' system dial-stdio`);
});
