/** The small pure parts of this folder. */
import { describe, expect, test } from "bun:test";
import { initialState } from "../container.ts";
import { defaultConfig, defaultHostConfig } from "../create-defaults.ts";
import { logSettings } from "../log-settings.ts";
import { sampleRecord } from "../sample.test-data.ts";
import { portRequests } from "./attach-network.ts";
import { messages } from "./log-session.ts";
import { family } from "./metrics.ts";
import { type Machine, parseColumns, parseProcess, renderColumn } from "./process-columns.ts";
import { isPrunable } from "./prune.ts";
import { parseNetDev } from "./stats.ts";
import { checkStartable, startFailure } from "./start-checks.ts";
import { mergeUpdate } from "./update.ts";
import { GantryError } from "../../lib/index.ts";

describe("published ports", () => {
  const ports = (host: object, exposed: readonly string[] = []): string[] =>
    portRequests({
      config: { ...defaultConfig, ExposedPorts: Object.fromEntries(exposed.map((port) => [port, {}])) },
      host: { ...defaultHostConfig, ...host },
    }).map((p) => `${p.hostIp}:${p.hostPort}:${p.containerPort}/${p.protocol}`);
  test.each([
    [{}, [], []],
    [{ PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] } }, [], [":8080:80/tcp"]],
    [{ PortBindings: { "53/udp": [] } }, [], [":0:53/udp"]],
    [
      {
        PortBindings: {
          "80/tcp": [
            { HostIp: "127.0.0.1", HostPort: "" },
            { HostIp: "::1", HostPort: "1" },
          ],
        },
      },
      [],
      ["127.0.0.1:0:80/tcp", "::1:1:80/tcp"],
    ],
    [{}, ["80/tcp"], []],
    [
      { PublishAllPorts: true, PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "1" }] } },
      ["80/tcp", "81/tcp"],
      [":1:80/tcp", ":0:81/tcp"],
    ],
  ] as const)("%o exposing %o", (host, exposed, want) => expect(ports(host, exposed)).toEqual([...want]));
});

describe("log settings", () => {
  test.each([
    [
      { Type: "json-file", Config: {} },
      { maxBytes: 10_000_000, maxFiles: 3 },
    ],
    [
      { Type: "local", Config: { "max-size": "1m", "max-file": "5" } },
      { maxBytes: 1_048_576, maxFiles: 5 },
    ],
    [
      { Type: "json-file", Config: { "max-size": "20kb" } },
      { maxBytes: 20_480, maxFiles: 3 },
    ],
    [{ Type: "none", Config: {} }, undefined],
  ] as const)("%o", (config, want) => expect(logSettings(config)).toEqual(want as never));
  test.each([
    { "max-size": "-1" },
    { "max-size": "1t" },
    { "max-size": "10" },
    { "max-file": "0" },
    { "max-file": "x" },
  ])("%o is refused", (Config) => {
    expect(() => logSettings({ Type: "json-file", Config: { ...Config } as Record<string, string> })).toThrow(
      "invalid log option",
    );
  });
});

describe("ps columns", () => {
  const stat = `42 (a (b) c) S 1 42 42 34817 42 0 0 0 0 0 150 50 0 0 20 5 3 0 10000 10485760 200 ${"0 ".repeat(28)}`;
  const facts = parseProcess(
    stat,
    "Name:\ta\nUid:\t0\t33\t0\t0\nGid:\t0\t34\t0\t0\nVmRSS:\t  800 kB\n",
    "sh\0-c\0echo hi\0",
  );
  const machine: Machine = {
    bootMs: 0,
    nowMs: 200_000,
    memoryKb: 8000,
    userNames: new Map([[33, "www-data"]]),
  };
  const row = (args: string): string[] =>
    parseColumns(args).map((column) => renderColumn(column, facts, machine));

  test("names with parentheses, ids, command", () => {
    expect(facts).toMatchObject({
      pid: 42,
      ppid: 1,
      state: "S",
      uid: 33,
      gid: 34,
      nice: 5,
      threads: 3,
      startTicks: 10000,
      name: "a (b) c",
      command: "sh -c echo hi",
    });
    expect(parseProcess(stat, "", "").command).toBe("[a (b) c]");
  });

  test.each([
    ["", ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]],
    ["-ef", ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]],
    ["aux", ["USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND"]],
    ["-o pid,comm", ["PID", "COMMAND"]],
    ["-eo pid,%mem", ["PID", "%MEM"]],
    ["o user= pid", ["USER", "PID"]],
  ])("titles of %s", (args, want) => expect(parseColumns(args).map(({ title }) => title)).toEqual(want));

  test("cells", () => {
    expect(row("-o uid,pid,c,pcpu,pmem,vsz,rss,tty,time,etime,stat,nlwp,args")).toEqual([
      "www-data",
      "42",
      "2",
      "2.0",
      "10.0",
      "10240",
      "800",
      "pts/1",
      "00:00:02",
      "01:40",
      "S",
      "3",
      "sh -c echo hi",
    ]);
  });

  test.each(["-o", "-o nosuch", "--forest; rm", "-C x"])("%s is refused", (args) =>
    expect(() => parseColumns(args)).toThrow(GantryError),
  );
});

test("/proc/net/dev", () => {
  const text =
    "Inter-|   Receive\n face |bytes\n    lo: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n  eth0: 10 20 30 40 0 0 0 0 50 60 70 80 0 0 0 0\n";
  expect(parseNetDev(text)).toEqual({
    eth0: {
      rxBytes: 10,
      rxPackets: 20,
      rxErrors: 30,
      rxDropped: 40,
      txBytes: 50,
      txPackets: 60,
      txErrors: 70,
      txDropped: 80,
    },
  });
});

test("metrics escape their labels and say nothing without samples", () => {
  expect(
    family("a", "gauge", "Help.", [
      { labels: { x: 'q"\\\n' }, value: 2 },
      { labels: {}, value: 3 },
    ]),
  ).toBe('# HELP a Help.\n# TYPE a gauge\na{x="q\\"\\\\\\n"} 2\na 3\n');
  expect(family("a", "gauge", "Help.", [])).toBe("");
});

test("a chunk of framed messages is cut", () => {
  const chunk = Buffer.from([1, 0, 0, 0, 0, 0, 0, 2, 97, 98, 2, 0, 0, 0, 0, 0, 0, 1, 99]);
  expect([...messages(chunk)].map(([stream, text]) => [stream, Buffer.from(text).toString()])).toEqual([
    [1, "ab"],
    [2, "c"],
  ]);
});

describe("prune", () => {
  const record = sampleRecord({ createdAtMs: 100, config: { ...defaultConfig, Labels: { a: "1", b: "" } } });
  test.each([
    [{ status: "exited" }, {}, true],
    [{ status: "created" }, {}, true],
    [{ status: "running" }, {}, false],
    [{ status: "restarting" }, {}, false],
    [{ status: "created", launching: true }, {}, false],
    [{ status: "exited" }, { untilMs: 100 }, false],
    [{ status: "exited" }, { untilMs: 101 }, true],
    [{ status: "exited" }, { labels: ["a=1", "b"] }, true],
    [{ status: "exited" }, { labels: ["a=2"] }, false],
    [{ status: "exited" }, { notLabels: ["a"] }, false],
    [{ status: "exited" }, { notLabels: ["c"] }, true],
  ] as const)("%o with %o: %p", (state, filters, want) => {
    expect(isPrunable({ record, state: { ...initialState, ...state } }, filters)).toBe(want);
  });
});

describe("update", () => {
  const host = { ...defaultHostConfig, Memory: 100, MemorySwap: 200 };
  test("what is not said stays", () => {
    expect(mergeUpdate("x", host, { Memory: 50, CpuShares: 0, CpusetCpus: "" })).toEqual({
      ...host,
      Memory: 50,
    });
    expect(mergeUpdate("x", { ...host, PidsLimit: 5 }, { PidsLimit: 0 }).PidsLimit).toBe(0);
    expect(
      mergeUpdate("x", host, { RestartPolicy: { Name: "always", MaximumRetryCount: 0 } }).RestartPolicy.Name,
    ).toBe("always");
  });
  test.each([
    [host, { Memory: 300 }, "Memory limit should be smaller"],
    [{ ...host, NanoCpus: 1e9 }, { CpuQuota: 5000 }, "CPU Quota cannot be updated"],
    [{ ...host, CpuQuota: 5000 }, { NanoCpus: 1e9 }, "Nano CPUs cannot be updated"],
    [
      { ...host, AutoRemove: true },
      { RestartPolicy: { Name: "always", MaximumRetryCount: 0 } },
      "AutoRemove",
    ],
  ] as const)("%# is refused", (before, request, words) =>
    expect(() => mergeUpdate("x", before, request)).toThrow(words),
  );
});

test.each([
  ["running", "not-modified"],
  ["paused", "conflict"],
  ["removing", "conflict"],
  ["dead", "conflict"],
  ["created", undefined],
  ["exited", undefined],
  ["restarting", undefined],
] as const)("starting a container that is %s: %p", (status, code) => {
  const start = (): void => checkStartable({ record: sampleRecord(), state: { ...initialState, status } });
  if (code === undefined) expect(start).not.toThrow();
  else expect(start).toThrow(expect.objectContaining({ code }));
});

test.each([
  ["command-not-found", 127],
  ["command-not-executable", 126],
  ["conflict", 128],
] as const)("a start that failed with %s leaves %i", (code, want) => {
  expect(startFailure(new GantryError(code, "why"))).toEqual({ message: "why", exitCode: want });
});
