import { expect, test } from "bun:test";
import { allSteps, encodePlan, maxPlanBytes, planMagic } from "./encode-plan.ts";
import { stepOps } from "./encode-step.ts";
import { everyStep } from "./every-step.test-data.ts";
import type { ContainerStep, MonitorStep, Plan } from "./plan-step.ts";

/** native/PROTOCOL.md's payloads in the signature letters of native/operations.c, written down here a second time. */
const signatures: Record<keyof typeof stepOps, string> = {
  "make-dir": "s41",
  "write-file": "sb4",
  "join-cgroup": "s",
  clone: "8s",
  netlink: "4M",
  "remove-cgroup": "s",
  "remove-file": "s",
  "write-pid-file": "s",
  "cgroup-devices": "sb",
  "fill-cpuset": "ss",
  limit: "sSS1",
  "cgroup-owner": "s4",
  "warm-program": "sS",
  "join-namespaces": "i88",
  "join-paths": "SU",
  "id-maps": "ss1ss44",
  "user-namespace": "441",
  "namespaces-ready": "",
  "time-namespace": "s",
  "open-source": "ss1ss",
  "child-rlimit": "48",
  unshare: "8",
  "wait-parent": "",
  "ask-hooks": "",
  "run-hook": "ssSS4b4s",
  "unmount-tree": "s",
  "become-parent": "",
  "private-mounts": "S",
  "run-program": "SS41s",
  adopt: "s",
  "console-listen": "s",
  "child-netlink": "4M",
  "mount-propagation": "s8",
  overlay: "sSsss",
  root: "s8",
  mount: "sss8s1s",
  bind: "ss88811881",
  "mount-attributes": "s88",
  remount: "s888s",
  "private-parent": "s",
  "root-propagation": "8",
  "make-node": "s44444",
  symlink: "ss1",
  "make-inside-dir": "s444",
  "pivot-root": "1",
  mask: "s",
  "read-only": "s",
  "remount-root": "8",
  hostname: "s",
  domainname: "s",
  sysctl: "ss",
  rlimit: "488",
  console: "1",
  "set-session": "",
  capabilities: "888884",
  ids: "44U4",
  "no-new-privs": "",
  seccomp: "b4",
  chdir: "s1",
  "parent-death-signal": "4",
  "wait-start": "s",
  exec: "SS1",
  keyring: "s4s",
  "seccomp-listener": "b4sS",
  scheduler: "4i48888",
  "io-priority": "4",
  "memory-policy": "4b",
  personality: "4",
  "cpu-affinity": "b",
  "security-label": "1s",
  "move-device": "sss",
  home: "4",
  "oom-score": "i",
  "enter-cgroup": "s",
};
const names = new Map(Object.entries(stepOps).map(([name, op]) => [op, name]));

interface Record_ {
  readonly op: number;
  readonly section: number;
  readonly flags: number;
  readonly payload: Uint8Array;
}

class Reader {
  readonly view: DataView;
  at = 0;
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  number(size: 1 | 2 | 4 | 8): bigint {
    const at = this.at;
    this.at += size;
    if (size === 8) return this.view.getBigUint64(at, true);
    return BigInt(
      size === 1
        ? this.view.getUint8(at)
        : size === 2
          ? this.view.getUint16(at, true)
          : this.view.getUint32(at, true),
    );
  }
  blob(): Uint8Array {
    const length = Number(this.number(4));
    this.at += length;
    return this.bytes.slice(this.at - length, this.at);
  }
  text(): string {
    const text = new TextDecoder().decode(this.blob());
    expect(this.number(1)).toBe(0n);
    return text;
  }
  list<T>(item: () => T): T[] {
    return Array.from({ length: Number(this.number(4)) }, item);
  }
  field(letter: string): unknown {
    switch (letter) {
      case "s":
        return this.text();
      case "b":
        return this.blob();
      case "S":
        return this.list(() => this.text());
      case "U":
        return this.list(() => this.number(4));
      case "M":
        return this.list(() => [this.blob(), this.number(4), this.text()]);
      case "i":
        return BigInt.asIntN(32, this.number(4));
      case "1":
        return this.number(1);
      case "4":
        return this.number(4);
      case "8":
        return this.number(8);
      default:
        throw new Error(letter);
    }
  }
}

function decode(bytes: Uint8Array): Record_[] {
  const reader = new Reader(bytes);
  expect(reader.number(4)).toBe(BigInt(planMagic));
  expect(reader.number(4)).toBe(BigInt(bytes.length - 8));
  const records: Record_[] = [];
  while (reader.at < bytes.length)
    records.push({
      op: Number(reader.number(2)),
      section: Number(reader.number(1)),
      flags: Number(reader.number(1)),
      payload: reader.blob(),
    });
  return records;
}

function fields(record: Record_): unknown[] {
  const reader = new Reader(record.payload);
  const name = names.get(record.op as never) as keyof typeof stepOps;
  const values = [...signatures[name]].map((letter) => reader.field(letter));
  expect(reader.at).toBe(record.payload.length);
  return values;
}

test("each kind of step is written with its op, its section and exactly its fields", () => {
  const records = decode(encodePlan(everyStep, {}));
  const steps = allSteps(everyStep);
  expect(records.length).toBe(steps.length);
  expect(new Set(steps.map((step) => step.do)).size).toBe(Object.keys(stepOps).length);
  records.forEach((record, index) => {
    const step = steps[index];
    expect(record.op).toBe(stepOps[step?.do ?? "exec"]);
    expect(record.flags).toBe(step?.optional === true ? 1 : 0);
    fields(record);
  });
  const { monitor, hooks = [], container, teardown } = everyStep;
  expect(records.map(({ section }) => section)).toEqual([
    ...monitor.map(() => 1),
    ...hooks.map(() => 4),
    ...container.map(() => 2),
    ...teardown.map(() => 3),
  ]);
});

const byteA0 = new TextEncoder().encode("a\0b");
const values: readonly [(MonitorStep | ContainerStep)["do"], readonly unknown[]][] = [
  ["write-file", ["/f", byteA0, 64n]],
  ["clone", [0x2000_0000n, "/cg"]],
  [
    "netlink",
    [
      0n,
      [
        [Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), 4n, "make the link eth0"],
        [Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), 0xffff_ffffn, "make it up"],
      ],
    ],
  ],
  ["join-namespaces", [-1n, 2n ** 60n, 0x2_0000n]],
  ["overlay", ["/t", ["/l1", "/l2"], "/u", "/w", "metacopy=on"]],
  ["bind", ["/s", "/i", 1n, 1n, 0x70n, 1n, 3n, 0x4_0000n, 2n, 2n]],
  ["hostname", ["häus"]],
  ["capabilities", [1n, 3n, 7n, 0n, 0n, 0n]],
  ["ids", [0xffff_fffen, 2n, [3n, 4n], 0o22n]],
  ["exec", [["sh", "-c", "a b"], ["A=1"], 1n]],
  ["oom-score", [-500n]],
];
test.each(values)("%s keeps its values", (kind, want) => {
  const index = allSteps(everyStep).findIndex((step) => step.do === kind);
  const record = decode(encodePlan(everyStep, {}))[index];
  if (record === undefined) throw new Error(kind);
  expect(fields(record)).toEqual([...want]);
});

test("options come first, and an attach option stands for each session", () => {
  const empty: Plan = { monitor: [], container: [], teardown: [] };
  const one = { stdin: true, stdout: true, stderr: false };
  const records = decode(
    encodePlan(empty, {
      socketPath: "/s",
      statusPath: "/st",
      log: { path: "/l", maxBytes: 1, maxFiles: 2 },
      terminal: { rows: 24, cols: 80 },
      stdin: { once: true },
      oomPath: "/o",
      attach: [one, { stdin: false, stdout: false, stderr: true }],
      holdFds: 2,
      detach: true,
      consoleSocket: "/c",
      processTitle: "t",
      preserveFds: 3,
      noLogRelay: true,
    }),
  );
  expect(records.map(({ op }) => op)).toEqual([1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11, 12, 13]);
  expect(records.every(({ section }) => section === 0)).toBe(true);
  expect(records.filter(({ op }) => op === 7).map(({ payload }) => payload[0])).toEqual([3, 4]);
  expect(decode(encodePlan(empty, { holdFds: 0, attach: [] }))).toEqual([]);
});

test.each([
  { name: "a path", step: { do: "mask", path: "/a\0b" } as const },
  { name: "an argument", step: { do: "exec", argv: ["a\0"], env: [], useInit: false } as const },
  { name: "a variable", step: { do: "exec", argv: ["a"], env: ["A=\0"], useInit: false } as const },
])("a NUL byte in $name is refused", ({ step }) => {
  expect(() => encodePlan({ monitor: [], container: [step], teardown: [] }, {})).toThrow("NUL");
});

test("a plan over the limit is refused here, not by gantry-init", () => {
  const step = { do: "exec", argv: ["x".repeat(maxPlanBytes)], env: [], useInit: false } as const;
  expect(() => encodePlan({ monitor: [], container: [step], teardown: [] }, {})).toThrow("more than");
});
