import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GantryError } from "../../lib/index.ts";
import { withEngineDefaults } from "../engine-defaults.ts";
import { defaultHostConfig } from "../create-defaults.ts";
import { type EngineSettings, usualLiveSettings } from "./engine-settings.ts";
import { Values } from "./given.ts";
import { parseFile, readFile } from "./read-file.ts";
import { readFlags } from "./read-flags.ts";
import { merge, restartKeys } from "./read-settings.ts";
import { resolveSettings } from "./resolve.ts";

const noFile = "";
const settle = (words: readonly string[], file = noFile): EngineSettings =>
  resolveSettings(new Values(merge(readFlags(words).given, parseFile(file, "f"))), { certificates: "/c" });
const failure = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof GantryError) return error.message;
    throw error;
  }
  return "no error";
};

test("without flags and file everything is at its default", () => {
  expect(settle([])).toMatchObject({
    root: "/var/lib/gantry",
    state: "/run/gantry",
    hosts: [],
    tls: undefined,
    open: false,
    snapshotter: "auto",
    network: { bip: undefined, mtu: 0, pools: [] },
  });
  expect(settle([]).live).toEqual(usualLiveSettings);
});

describe("a flag and the key of the same name mean the same", () => {
  test.each([
    [["--root", "/a/", "--state=/b"], '{"data-root": "/a/", "exec-root": "/b"}'],
    [
      ["-H", "unix:///x", "--host=tcp://:1", "-Htcp://[::1]:2"],
      "hosts: [unix:///x, tcp://:1, 'tcp://[::1]:2']",
    ],
    [["-D"], "debug: true"],
    [["-l", "warn", "--label", "a=b", "--label=c"], "log-level: warn\nlabels: [a=b, c]"],
    [["--tlsverify", "--tlscert=/x"], "tlsverify: true\ntlscert: /x"],
    [["--tls=false"], "tls: false"],
    [
      ["--registry-mirror=https://m", "--insecure-registry", "r:5000"],
      '{"registry-mirrors": ["https://m"], "insecure-registries": ["r:5000"]}',
    ],
    [
      ["--add-runtime", "crun=/usr/bin/crun", "--default-runtime=crun"],
      '{"runtimes": {"crun": {"path": "/usr/bin/crun"}}, "default-runtime": "crun"}',
    ],
    [
      ["--log-driver=local", "--log-opt", "max-size=1m", "--log-opt=max-file=2"],
      "log-driver: local\nlog-opts: {max-size: 1m, max-file: 2}",
    ],
    [
      ["--default-ulimit", "nofile=64:128", "--default-ulimit=core=0"],
      '{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 128, "Soft": 64}, "core": {"Hard": 0, "Soft": 0}}}',
    ],
    [["--default-shm-size=1.5g"], "default-shm-size: 1610612736"],
    [
      ["--dns", "9.9.9.9", "--dns-search=lan", "--dns-opt", "ndots:2"],
      "dns: [9.9.9.9]\ndns-search: [lan]\ndns-opts: ['ndots:2']",
    ],
    [
      ["--default-address-pool", "base=10.5.0.0/16,size=24", "--bip=10.4.0.1/24", "--mtu", "1400"],
      '{"default-address-pools": [{"base": "10.5.0.0/16", "size": 24}], "bip": "10.4.0.1/24", "mtu": 1400}',
    ],
    [["--http-proxy=http://p", "--no-proxy=lan"], "proxies: {http-proxy: 'http://p', no-proxy: lan}"],
    [
      ["--metrics-addr=127.0.0.1:9323", "--shutdown-timeout=60"],
      "metrics-addr: 127.0.0.1:9323\nshutdown-timeout: 60",
    ],
    [
      ["--max-concurrent-downloads=1", "--max-concurrent-uploads=2", "--max-download-attempts=3"],
      "max-concurrent-downloads: 1\nmax-concurrent-uploads: 2\nmax-download-attempts: 3",
    ],
    [
      ["--seccomp-profile=unconfined", "--no-new-privileges", "--init", "--ip=127.0.0.1"],
      "seccomp-profile: unconfined\nno-new-privileges: true\ninit: true\nip: 127.0.0.1",
    ],
    [
      ["--live-restore", "--userland-proxy=false", "--storage-driver=overlay2"],
      '{\n\t"live-restore": true,\n\t"userland-proxy": false,\n\t"storage-driver": "overlay2", "exec-opts": ["native.cgroupdriver=cgroupfs"]}',
    ],
  ])("%j", (words, file) => {
    const settings = settle(words);
    expect(settle([], file)).toEqual(settings);
    if (!words.some((word) => /^--(?:live-restore|userland)/.test(word)))
      expect(settings).not.toEqual(settle([]));
  });
});

describe("refusals name the flag, or the line", () => {
  test.each([
    [["--root"], noFile, "flag needs an argument: --root"],
    [["--nope"], noFile, "unknown flag: --nope"],
    [["now"], noFile, "'engine' accepts no arguments: now"],
    [
      ["--snapshotter=btrfs"],
      noFile,
      'invalid argument "btrfs" for "--snapshotter" flag: auto, overlay or erofs is wanted',
    ],
    [["--debug=perhaps"], noFile, 'invalid argument "perhaps" for "--debug" flag: true or false is wanted'],
    [["--mtu=60"], noFile, 'invalid argument 60 for "--mtu" flag: 68 or more is wanted'],
    [
      ["--live-restore=false"],
      noFile,
      'invalid argument false for "--live-restore" flag: only true can be given, because containers outlive the engine in any case',
    ],
    [[], "# x\ndebug: true\nregistrys: {}\n", 'f:3: there is no setting "registrys"'],
    [
      [],
      '{\n  "debug": true,\n  "labels": ["debugs"],\n  "bridge": "none"\n}',
      'f:4: there is no setting "bridge"',
    ],
    [[], "debug: sometimes", 'f:1: debug: invalid value "sometimes": true or false is wanted'],
    [[], "a:\nproxies: {ftp-proxy: x}", 'f:1: there is no setting "a"'],
    [[], "data-root: /a\nroot: /b", "f:2: root is set twice"],
    [[], "default-runtime: kata", 'f:1: default-runtime: invalid value "kata"'],
    [[], "default-ulimits: {nofile: {Soft: 3, Hard: 2}}", "f:1: default-ulimits: invalid value"],
    [[], "registries: {example.com: {mirror: []}}", 'f:1: registries.example.com has no setting "mirror"'],
    [[], "- a", "f does not hold a map"],
    [[], "a: [", "f is not valid YAML"],
    [[], '{"a": }', "f is not valid JSON"],
    [
      ["-D"],
      "debug: true\n",
      "the following directives are specified both as a flag and in the configuration file: debug: (from flag: true, from file: true)",
    ],
    [["-H=ftp://x"], noFile, 'invalid host "ftp://x"'],
    [
      ["--default-address-pool=base=10.0.0.0/16,size=31"],
      noFile,
      'invalid argument "base=10.0.0.0/16,size=31" for "--default-address-pool" flag',
    ],
  ])("%j and %j: %s", (words, file, message) =>
    expect(failure(() => settle(words, file))).toStartWith(message),
  );
});

test("runtimes come from both, and a reload tells what needs a restart", () => {
  const both = settle(["--add-runtime=a=/a"], "runtimes: {b: {path: /b}}");
  expect(both.live.runtimes).toEqual({ a: "/a", b: "/b" });
  const before = parseFile("debug: true\nmtu: 1400\nhosts: [fd://]", "f");
  expect(restartKeys(before, parseFile("mtu: 1500\nhosts: ['fd://']\nlabels: [a]", "f"))).toEqual(["mtu"]);
});

test("a file that is named must be there; the usual one need not", () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-config-"));
  try {
    expect(() => readFile(join(dir, "none.yaml"))).toThrow(`${dir}/none.yaml`);
    writeFileSync(join(dir, "some.yaml"), "# nothing\n");
    expect(readFile(join(dir, "some.yaml"))).toEqual(new Map());
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test("containers get the engine's defaults only where they say nothing", () => {
  const { containers } = settle([
    "--log-opt=max-size=1m",
    "--default-ulimit=nofile=64",
    "--default-ulimit=core=0",
    "--default-shm-size=1m",
    "--no-new-privileges",
    "--cgroup-parent=/p",
  ]).live;
  const silent = withEngineDefaults(defaultHostConfig, ["ShmSize", "IpcMode", "LogDriver"], containers);
  expect(silent).toMatchObject({
    LogConfig: { Type: "json-file", Config: { "max-size": "1m" } },
    ShmSize: 1 << 20,
    SecurityOpt: ["no-new-privileges"],
    CgroupParent: "/p",
  });
  const asked = {
    ...defaultHostConfig,
    Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
    ShmSize: 7,
    CgroupParent: "/q",
    SecurityOpt: ["no-new-privileges=false"],
    LogConfig: { Type: "local", Config: { "max-file": "1" } },
  };
  expect(withEngineDefaults(asked, [], containers)).toEqual({
    ...asked,
    Ulimits: [...asked.Ulimits, { Name: "core", Soft: 0, Hard: 0 }],
  });
});
