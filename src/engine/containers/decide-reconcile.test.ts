import { describe, expect, test } from "bun:test";
import { type ContainerState, type HostConfig, initialState } from "../container.ts";
import { defaultHostConfig } from "../create-defaults.ts";
import { firstLook, verdict } from "./decide-reconcile.ts";

const policy = (Name: HostConfig["RestartPolicy"]["Name"]): Partial<HostConfig> => ({
  RestartPolicy: { Name, MaximumRetryCount: 0 },
});
const exited = { exitCode: 3, signal: 0, oomKilled: false, atMs: 5, lostLogLines: 0 };
const started = { pid: 7, startTime: "9", monitorPid: 6 };

describe("firstLook", () => {
  test.each([
    [{ status: "created" }, {}, "nothing"],
    [{ status: "created", launching: true }, {}, "inspect"],
    [{ status: "created", error: "no such command" }, { AutoRemove: true }, "remove"],
    [{ status: "created" }, { AutoRemove: true }, "nothing"],
    [{ status: "running" }, {}, "inspect"],
    [{ status: "paused" }, {}, "inspect"],
    [{ status: "exited" }, {}, "nothing"],
    [{ status: "exited" }, { AutoRemove: true }, "remove"],
    [{ status: "exited", launching: true }, { AutoRemove: true }, "inspect"],
    [{ status: "exited" }, policy("always"), "start"],
    [{ status: "exited", stoppedByUser: true }, policy("always"), "start"],
    [{ status: "exited" }, policy("unless-stopped"), "start"],
    [{ status: "exited", stoppedByUser: true }, policy("unless-stopped"), "nothing"],
    [{ status: "exited", exitCode: 1 }, policy("on-failure"), "nothing"],
    [{ status: "restarting" }, policy("on-failure"), "start"],
    [{ status: "restarting", launching: true }, policy("always"), "inspect"],
    [{ status: "removing" }, policy("always"), "remove"],
    [{ status: "dead" }, {}, "remove"],
  ] as const)("%o %o: %s", (state, host, want) => {
    expect(firstLook({ host: { ...defaultHostConfig, ...host } }, { ...initialState, ...state })).toBe(want);
  });
});

describe("verdict", () => {
  const running: ContainerState = { ...initialState, status: "running" };
  const launching: ContainerState = { ...initialState, launching: true };
  test.each([
    ["runs on", running, { state: "running", started }, true, "adopt"],
    ["ended meanwhile", running, { state: "exited", exited }, false, "finish"],
    ["its monitor and process are gone", running, { state: "running", started }, false, "vanished"],
    ["the machine was booted anew and the file is lost", running, undefined, false, "vanished"],
    [
      "a failed start's file beside a running state",
      running,
      { state: "failed", index: 3, errno: 2 },
      false,
      "vanished",
    ],
    ["a start was interrupted and succeeded", launching, { state: "running", started }, true, "adopt"],
    ["it succeeded and has ended", launching, { state: "exited", exited }, false, "finish"],
    ["it succeeded and was killed", launching, { state: "running", started }, false, "vanished"],
    ["it failed", launching, { state: "failed", index: 3, errno: 2 }, false, "not-started"],
    ["it never came to spawn", launching, undefined, false, "not-started"],
  ] as const)("%s", (_, state, status, lives, want) => expect(verdict(state, status, lives).do).toBe(want));
});
