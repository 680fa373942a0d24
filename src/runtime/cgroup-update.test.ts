import { describe, expect, test } from "bun:test";
import type { CgroupLayout } from "../kernel/index.ts";
import type { CgroupIo } from "./cgroup-io.ts";
import { updateResources } from "./cgroup-update.ts";
import type { OciResources } from "./oci-types.ts";
import { hybridLayout, v1Layout, v2Layout } from "./sample.test-data.ts";

type Refuse = (file: string, value: string, files: ReadonlyMap<string, string>) => string | undefined;

/** Control files as a map, each at /x; `refuse` answers with the errno of a write. */
function machine(files: Readonly<Record<string, string>>, refuse: Refuse = () => undefined) {
  const there = new Map(Object.entries(files));
  const written: string[] = [];
  const nameOf = (path: string): string => path.split("/").pop() ?? "";
  const io: CgroupIo = {
    read: (path) => there.get(nameOf(path)),
    write(path, text) {
      const code = refuse(nameOf(path), text, there);
      written.push(`${nameOf(path)}=${text}${code === undefined ? "" : ` ${code}`}`);
      if (code !== undefined) throw Object.assign(new Error(code), { code });
      there.set(nameOf(path), text);
    },
    list: () => [],
    mkdir: () => {},
    rmdir: () => {},
    kill: () => {},
    sleep: () => {},
    setDeviceProgram: (dir, program) => void written.push(`program ${dir} ${program.length > 0}`),
  };
  return { io, written };
}

function update(
  layout: CgroupLayout,
  files: Record<string, string>,
  resources: OciResources,
  refuse?: Refuse,
) {
  const { io, written } = machine(files, refuse);
  updateResources(io, layout, "/x", resources);
  return written;
}

describe("memory", () => {
  test("v1: the sum grows before memory, and shrinks after it", () => {
    const files = { "memory.memsw.limit_in_bytes": "100" };
    expect(update(v1Layout, files, { memory: { limit: 150, swap: 200 } })).toEqual([
      "memory.memsw.limit_in_bytes=200",
      "memory.limit_in_bytes=150",
    ]);
    expect(update(v1Layout, files, { memory: { limit: 50, swap: 60 } })).toEqual([
      "memory.limit_in_bytes=50",
      "memory.memsw.limit_in_bytes=60",
    ]);
  });

  test("v1: unlimited memory frees swap, where swap is counted", () => {
    expect(update(v1Layout, { "memory.memsw.limit_in_bytes": "5" }, { memory: { limit: -1 } })).toEqual([
      "memory.memsw.limit_in_bytes=-1",
      "memory.limit_in_bytes=-1",
    ]);
    expect(update(v1Layout, {}, { memory: { limit: -1 } })).toEqual(["memory.limit_in_bytes=-1"]);
  });

  test("v2: a sum alone is counted from the present limit", () => {
    expect(update(v2Layout, { "memory.max": "100\n" }, { memory: { swap: 150 } })).toContain(
      "memory.swap.max=50",
    );
  });

  test("v1: too little says what is in use", () => {
    const files = { "memory.usage_in_bytes": "70\n", "memory.max_usage_in_bytes": "90\n" };
    const busy: Refuse = (file) => (file === "memory.limit_in_bytes" ? "EBUSY" : undefined);
    expect(() => update(v1Layout, files, { memory: { limit: 5 } }, busy)).toThrow(
      "unable to set memory limit to 5 (current usage: 70, peak usage: 90)",
    );
  });

  test.each([
    [v1Layout, { "memory.usage_in_bytes": "70" }],
    [v2Layout, { "memory.current": "70" }],
  ])("checkBeforeUpdate refuses, and nothing is written", (layout, files) => {
    const { io, written } = machine(files);
    const resources = { memory: { limit: 5, checkBeforeUpdate: true }, pids: { limit: 1 } };
    expect(() => updateResources(io, layout, "/x", resources)).toThrow("rejecting memory limit 5 < usage 70");
    expect(written).toEqual([]);
  });
});

test("a quota below the present burst is written again when the burst is", () => {
  const refuse: Refuse = (file, value, files) =>
    file === "cpu.cfs_quota_us" && Number(value) < Number(files.get("cpu.cfs_burst_us"))
      ? "EINVAL"
      : undefined;
  expect(update(v1Layout, { "cpu.cfs_burst_us": "40" }, { cpu: { quota: 20, burst: 10 } }, refuse)).toEqual([
    "cpu.cfs_quota_us=20 EINVAL",
    "cpu.cfs_burst_us=10",
    "cpu.cfs_quota_us=20",
  ]);
});

test("a value that stays refused is an error naming the file", () => {
  const refuse: Refuse = () => "EINVAL";
  expect(() => update(v1Layout, {}, { cpu: { quota: 1 } }, refuse)).toThrow(
    "cpu.cfs_quota_us: invalid argument",
  );
});

test("the name of a file is the kernel's", () => {
  const blkio = { ...v1Layout, controllers: { ...v1Layout.controllers, blkio: "/sys/fs/cgroup/blkio" } };
  const weight = { blockIO: { weight: 500 } };
  expect(update(blkio, { "blkio.bfq.weight": "" }, weight)).toEqual(["blkio.bfq.weight=500"]);
  expect(update(blkio, { "blkio.weight": "" }, weight)).toEqual(["blkio.weight=500"]);
});

test("device rules replace what there was", () => {
  expect(update(v1Layout, {}, { devices: [{ allow: false }] })).toEqual(
    expect.arrayContaining(["devices.deny=a", "devices.allow=c 1:3 rwm"]),
  );
  expect(update(v2Layout, {}, { devices: [{ allow: false }] })).toEqual(["program /sys/fs/cgroup/x true"]);
});

test("nothing is written when one of the limits cannot be", () => {
  const { io, written } = machine({});
  const resources = { pids: { limit: 5 }, rdma: { a: { hcaHandles: 1 } } };
  expect(() => updateResources(io, hybridLayout, "/x", resources)).toThrow("linux.resources.rdma");
  expect(written).toEqual([]);
});
