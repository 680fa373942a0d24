import { expect, test } from "bun:test";
import { jsonText } from "./json-text.ts";
import { networkInterfaces, statsData } from "./stats-event.ts";

/** What a container used on a machine with cgroup v1, and what runc printed of it there. */
const v1: Readonly<Record<string, string>> = {
  "cpuacct.usage": "9015363\n",
  "cpuacct.usage_percpu": "5520908 3494455 \n",
  "cpuacct.usage_all": "cpu user system\n0 0 4000000\n1 0 4000000\n",
  "cpuacct.stat": "user 1\nsystem 2\n",
  "cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
  "cpuset.cpus": "0-1\n",
  "cpuset.mems": "0\n",
  "cpuset.cpu_exclusive": "0\n",
  "cpuset.sched_load_balance": "1\n",
  "cpuset.sched_relax_domain_level": "-1\n",
  "memory.stat": "rss 53248\ncache 0\nhierarchical_memory_limit 9223372036854771712\nactive_anon 4096\n",
  "memory.usage_in_bytes": "819200\n",
  "memory.max_usage_in_bytes": "2502656\n",
  "memory.failcnt": "0\n",
  "memory.limit_in_bytes": "9223372036854771712\n",
  "memory.kmem.tcp.usage_in_bytes": "0\n",
  "memory.kmem.tcp.limit_in_bytes": "9223372036854771712\n",
  "pids.current": "1\n",
  "pids.max": "max\n",
};

const from = (files: Readonly<Record<string, string>>, kind: "v1" | "v2", more: object = {}) =>
  jsonText(
    statsData({
      read: (_, file) => files[file],
      interfaceOf: () => kind,
      hugePages: ["2MB", "1GB"],
      ...more,
    }),
  );

test("cgroup v1, byte for byte as runc", () => {
  expect(from(v1, "v1")).toBe(
    '{"cpu":{"usage":{"total":9015363,"percpu":[5520908,3494455],"percpu_kernel":[4000000,4000000],' +
      '"percpu_user":[0,0],"kernel":20000000,"user":10000000},"throttling":{}},"cpuset":{"cpus":[0,1],' +
      '"cpu_exclusive":0,"mems":[0],"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,' +
      '"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":1,' +
      '"sched_relax_domain_level":-1},"memory":{"usage":{"limit":9223372036854771712,"usage":819200,' +
      '"max":2502656,"failcnt":0},"swap":{"limit":0,"failcnt":0},"kernel":{"limit":0,"failcnt":0},' +
      '"kernelTCP":{"limit":9223372036854771712,"failcnt":0},"raw":{"active_anon":4096,"cache":0,' +
      '"hierarchical_memory_limit":9223372036854771712,"rss":53248}},"pids":{"current":1},"blkio":{},' +
      '"hugetlb":{},"intel_rdt":{},"network_interfaces":null}',
  );
});

test("v1: block I/O of the scheduler, else of the throttler; huge pages; limits", () => {
  const files = {
    "blkio.throttle.io_serviced_recursive": "8:0 Read 3\n8:0 Write 0\nTotal 3\n",
    "blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n0:5 Write 5\nTotal 4101\n",
    "hugetlb.2MB.usage_in_bytes": "2097152\n",
    "hugetlb.2MB.max_usage_in_bytes": "4194304\n",
    "hugetlb.2MB.failcnt": "1\n",
    "hugetlb.1GB.rsvd.usage_in_bytes": "0\n",
    "hugetlb.1GB.rsvd.failcnt": "7\n",
    "pids.max": "20\n",
  };
  expect(JSON.parse(from(files, "v1"))).toMatchObject({
    blkio: {
      ioServicedRecursive: [
        { major: 8, op: "Read", value: 3 },
        { major: 8, op: "Write" },
      ],
      ioServiceBytesRecursive: [
        { major: 8, op: "Read", value: 4096 },
        { minor: 5, op: "Write", value: 5 },
      ],
    },
    hugetlb: { "2MB": { usage: 2_097_152, max: 4_194_304, failcnt: 1 }, "1GB": { failcnt: 7 } },
    pids: { limit: 20 },
  });
  const bfq = { ...files, "blkio.bfq.io_serviced_recursive": "8:0 Read 9\n" };
  expect(JSON.parse(from(bfq, "v1")).blkio).toEqual({
    ioServicedRecursive: [{ major: 8, op: "Read", value: 9 }],
  });
});

test("cgroup v2: figures in v1's terms, pressure", () => {
  const some = "some avg10=1.50 avg60=0.00 avg300=0.25 total=77\n";
  const files = {
    "cpu.stat": "usage_usec 9\nuser_usec 4\nsystem_usec 5\nnr_periods 2\nnr_throttled 1\nthrottled_usec 3\n",
    "cpu.pressure": `${some}full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`,
    "memory.stat": "anon 5\nfile 4096\n",
    "memory.current": "8192\n",
    "memory.max": "16384\n",
    "memory.peak": "9000\n",
    "memory.swap.current": "100\n",
    "memory.swap.max": "1000\n",
    "pids.current": "2\n",
    "pids.max": "max\n",
    "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n\n",
    "hugetlb.2MB.current": "0\n",
    "hugetlb.2MB.events": "max 3\n",
    "cpuset.cpus": "\n",
  };
  expect(JSON.parse(from(files, "v2"))).toMatchObject({
    cpu: {
      usage: { total: 9000, kernel: 5000, user: 4000 },
      throttling: { periods: 2, throttledPeriods: 1, throttledTime: 3000 },
      psi: { some: { avg10: 1.5, avg60: 0, avg300: 0.25, total: 77 }, full: { total: 0 } },
    },
    memory: {
      cache: 4096,
      usage: { limit: 16_384, usage: 8192, max: 9000, failcnt: 0 },
      swap: { limit: 17_384, usage: 8292, failcnt: 0 },
      raw: { anon: 5, file: 4096 },
    },
    pids: { current: 2 },
    blkio: {
      ioServiceBytesRecursive: [
        { major: 8, op: "Read", value: 1 },
        { major: 8, op: "Write", value: 2 },
      ],
      ioServicedRecursive: [
        { major: 8, op: "Read", value: 3 },
        { major: 8, op: "Write", value: 4 },
      ],
    },
    hugetlb: { "2MB": { failcnt: 3 } },
  });
  expect(from({ ...files, "memory.swap.max": "max\n" }, "v2")).toContain('"limit":18446744073709551615');
});

test("interfaces of the container, without lo", () => {
  const dev =
    "Inter-|   Receive  |  Transmit\n face |bytes ... \n" +
    "    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n" +
    "  eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n";
  expect(networkInterfaces(dev)).toEqual([
    {
      Name: "eth0",
      RxBytes: 1000n,
      RxPackets: 10n,
      RxErrors: 1n,
      RxDropped: 2n,
      TxBytes: 2000n,
      TxPackets: 20n,
      TxErrors: 3n,
      TxDropped: 4n,
    },
  ]);
  expect(networkInterfaces(undefined)).toBeNull();
});
