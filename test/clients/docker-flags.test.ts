/**
 * Flags of `docker run` by the real docker command: what a container sees of each, and what is refused in dockerd's words. Root;
 * skipped where no docker is installed.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { type Result, TestEngine } from "../lib/engine.ts";

setDefaultTimeout(60_000);

const docker = Bun.which("docker") ?? undefined;
const reason =
  docker === undefined ? "no docker command is installed" : process.getuid?.() === 0 ? "" : "it needs root";
if (reason !== "") process.stdout.write(`docker-flags.test.ts skipped: ${reason}\n`);
const isV1 = readdirSync("/sys/fs/cgroup").includes("memory");

/** Set before the first test runs. */
let engine: TestEngine;

async function run(...words: readonly string[]): Promise<Result> {
  const child = Bun.spawn([docker ?? "docker", ...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: {
      PATH: process.env["PATH"] ?? "",
      DOCKER_HOST: `unix://${engine.socket}`,
      DOCKER_CONFIG: join(engine.dir, "docker"),
    },
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

async function ok(...words: readonly string[]): Promise<string> {
  const { code, out, err } = await run(...words);
  if (code !== 0) throw new Error(`docker ${words.join(" ")} exited with ${code}: ${err}${out}`);
  return out.trim();
}

beforeAll(async () => {
  if (reason !== "") return;
  engine = new TestEngine("docker-flags");
  await engine.start();
  mkdirSync(join(engine.dir, "docker"));
  engine.ok("image", "bootstrap", "busybox");
}, 120_000);

afterAll(async () => {
  if (reason === "") await engine.uninstall();
});

const cgroup = (controller: string, file: string): string =>
  isV1 ? `cat /sys/fs/cgroup/${controller}/${file}` : `cat /sys/fs/cgroup/${file}`;

/** Flags, a script, and what it prints. */
const seen: readonly (readonly [flags: string, script: string, out: string | RegExp])[] = [
  ["--memory 64m", cgroup("memory", isV1 ? "memory.limit_in_bytes" : "memory.max"), "67108864"],
  ["--cpu-shares 512", cgroup("cpu", isV1 ? "cpu.shares" : "cpu.weight"), isV1 ? "512" : /^\d+$/],
  ["--cpus 0.5", cgroup("cpu", isV1 ? "cpu.cfs_quota_us" : "cpu.max"), /^50000/],
  ["--pids-limit 30", cgroup("pids", "pids.max"), "30"],
  ["--cpuset-cpus 0", "grep Cpus_allowed_list /proc/self/status", /\t0$/],
  ["--oom-score-adj 200", "cat /proc/self/oom_score_adj", "200"],
  ["--ulimit nofile=100:200", "ulimit -Sn; ulimit -Hn", "100\n200"],
  ["--shm-size 3m", "df -k /dev/shm | tail -1", /\b3072\b/],
  ["--tmpfs /scratch:size=1m,mode=700", "df -k /scratch | tail -1", /\b1024\b/],
  ["--read-only", "touch /x 2>&1", /Read-only file system/],
  [
    "--hostname box --domainname example.org",
    "hostname; cat /proc/sys/kernel/domainname",
    "box\nexample.org",
  ],
  ["--sysctl net.ipv4.ip_forward=1", "cat /proc/sys/net/ipv4/ip_forward", "1"],
  ["--user 12:34 --group-add 99", "id -u; id -g; id -G", "12\n34\n34 99"],
  ["--workdir /made/here", "pwd", "/made/here"],
  ["--init", "cat /proc/1/comm", "gantry-init"],
  ["--env A=b", "echo $A", "b"],
  ["--cap-drop ALL --cap-add CHOWN", "grep CapEff /proc/self/status", /0000000000000001$/],
  ["--privileged", "grep -c '^CapEff:.*ffffff' /proc/self/status; ls /dev | grep -c loop-control", "1\n1"],
  ["--device /dev/fuse:/dev/f:r", "ls -l /dev/f", /10, 229/],
  ["--device-cgroup-rule 'c 10:229 r'", "mknod /f c 10 229 && : </f && echo opened", "opened"],
  ["", "mknod /f c 10 229 && (: </f) 2>&1", /not permitted/],
  ["--security-opt no-new-privileges", "grep NoNewPrivs /proc/self/status", /1$/],
  ["--security-opt seccomp=unconfined", "grep Seccomp: /proc/self/status", /0$/],
  ["--security-opt systempaths=unconfined", "mount | grep -c ' on /proc/'", "0"],
  ["--security-opt writable-cgroups=true", "mount | grep -c 'cgroup.*rw'", /^[1-9]/],
  ["--pid host", "test $(ls -d /proc/[0-9]* | wc -l) -gt 2 && test $$ -ne 1 && echo many", "many"],
  ["--uts host", "hostname", new RegExp(`^${(await Bun.$`hostname`.text()).trim()}$`)],
  ["--ipc host", "df -k /dev/shm | tail -1; ls -d /dev/mqueue", /\/dev\/mqueue$/],
  ["--ipc none", "mount | grep -c /dev/shm", "0"],
  ["--cgroupns host --cgroup-parent gantrytest", "cat /proc/self/cgroup", /\/gantrytest\/[0-9a-f]{64}/],
  ["--cgroup-parent gantrytest", "cat /proc/self/cgroup", /^(?!.*gantrytest)/s],
  ...(isV1
    ? ([
        [
          "--device-read-bps /dev/loop0:1mb",
          cgroup("blkio", "blkio.throttle.read_bps_device"),
          "7:0 1048576",
        ],
        ["--memory 32m --memory-swappiness 7", cgroup("memory", "memory.swappiness"), "7"],
      ] as const)
    : []),
];

/** Splits as a shell does, for quotes around whole words. */
const wordsOf = (text: string): string[] =>
  [...text.matchAll(/'([^']*)'|\S+/g)].map((match) => match[1] ?? match[0]);

describe.skipIf(reason !== "")("what a container sees of", () => {
  test.each(seen.map((row) => [row[0] || "no flag", ...row] as const))(
    "%s",
    async (_, flags, script, out) => {
      const said = await run("run", "--rm", ...wordsOf(flags), "busybox", "sh", "-c", script);
      if (out instanceof RegExp) expect(said.out.trim()).toMatch(out);
      else expect(said.out.trim()).toBe(out);
    },
  );

  afterAll(() => {
    for (const dir of ["", ...readdirSync("/sys/fs/cgroup")])
      try {
        rmdirSync(join("/sys/fs/cgroup", dir, "gantrytest"));
      } catch {
        // ENOENT, ENOTDIR: not in this hierarchy.
      }
  });
});

describe.skipIf(reason !== "")("refused in dockerd's words:", () => {
  test.each([
    ["--gpus all", 'could not select device driver "" with capabilities: [[gpu]]'],
    ["--security-opt fly=high", 'invalid --security-opt 2: "fly=high"'],
    ["--ipc container:nosuch", "failed to join IPC namespace: No such container: nosuch"],
    ["--pid container:nosuch", "failed to join PID namespace: No such container: nosuch"],
    [
      "--network host --sysctl net.ipv4.ip_forward=1",
      'sysctl "net.ipv4.ip_forward" not allowed in host network',
    ],
    ["--cpuset-cpus 4095", "Requested CPUs are not available - requested 4095, available: "],
    ["--blkio-weight 5", "Range of blkio weight is from 10 to 1000"],
    ["--memory 1m", "Minimum memory limit allowed is 6MB"],
    ["--stop-signal FOO", "invalid signal: FOO"],
    ["--isolation hyperv", "invalid isolation (hyperv): linux only supports 'default'"],
    [
      "--storage-opt size=1g",
      "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
    ],
    [
      "--volume-driver nosuch -v novolume:/x",
      'error looking up volume plugin nosuch: plugin "nosuch" not found',
    ],
    ["--group-add nosuch", "unable to find group nosuch"],
    ["--device /dev/nosuch", 'error gathering device information while adding custom device "/dev/nosuch"'],
  ])("%s", async (flags, message) => {
    const { code, err } = await run("run", "--rm", ...wordsOf(flags), "busybox", "true");
    expect([code, err]).toEqual([125, expect.stringContaining(message)]);
  });

  test("nothing stays of what was refused", async () => {
    expect(await ok("ps", "-aq", "--filter", "status=created")).toBe("");
  });
});

describe.skipIf(reason !== "")("containers that share", () => {
  test("IPC and processes, and find them again after a restart", async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "donor",
      "--ipc",
      "shareable",
      "busybox",
      "sh",
      "-c",
      "echo hi >/dev/shm/x; exec sleep 1000",
    );
    const other = ["--ipc", "container:donor", "--pid", "container:donor", "busybox", "sh", "-c"];
    const script = "cat /dev/shm/x; cat /proc/1/cmdline | tr '\\0' ' '";
    expect(await ok("run", "--name", "guest", ...other, script)).toBe("hi\nsleep 1000");
    const id = await ok("inspect", "-f", "{{.Id}}", "donor");
    expect(await ok("inspect", "-f", "{{.HostConfig.PidMode}}", "guest")).toBe(`container:${id}`);
    await ok("restart", "-t", "0", "donor");
    expect(await ok("start", "-a", "guest")).toBe("hi\nsleep 1000");
    await ok("stop", "-t", "0", "donor");
    const { err } = await run("start", "-a", "guest");
    expect(err).toContain(`namespace: container ${id} is not running`);
    await ok("rm", "-f", "donor", "guest");
  });

  test("nothing with one whose IPC is private", async () => {
    await ok("run", "-d", "--name", "private", "busybox", "sleep", "1000");
    const { err } = await run("run", "--rm", "--ipc", "container:private", "busybox", "true");
    expect(err).toContain("non-shareable IPC (hint: use IpcMode:shareable for the donor container)");
    await ok("rm", "-f", "private");
  });
});

describe.skipIf(reason !== "")("update", () => {
  test("of a running container, which stays as it was when the kernel refuses", async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "changed",
      "--memory",
      "64m",
      "--pids-limit",
      "20",
      "busybox",
      "sleep",
      "1000",
    );
    await ok(
      "update",
      "--memory",
      "96m",
      "--memory-swap",
      "128m",
      "--cpu-shares",
      "300",
      "--pids-limit",
      "-1",
      "--cpuset-cpus",
      "0",
      "--restart",
      "on-failure:3",
      "changed",
    );
    const inside = (...lines: readonly string[]): Promise<string> =>
      ok("exec", "changed", "sh", "-c", lines.join("; "));
    expect(await inside("grep Cpus_allowed_list /proc/self/status")).toMatch(/\t0$/);
    if (isV1)
      expect(
        await inside("cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.shares pids/pids.max"),
      ).toBe("100663296\n300\nmax");
    const refused = await run("update", "--memory", "100m", "--cpu-rt-runtime", "900000", "changed");
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("Cannot update container ")]);
    const shown =
      "{{.HostConfig.Memory}} {{.HostConfig.CpuShares}} {{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}}";
    expect(await ok("inspect", "-f", shown, "changed")).toBe("100663296 300 <no value> on-failure");
    await ok("rm", "-f", "changed");
  });
});

test.skipIf(reason !== "")("exec ends with docker's codes", async () => {
  await ok("run", "-d", "--name", "target", "busybox", "sleep", "1000");
  const codes = async (...words: readonly string[]): Promise<readonly number[]> => [
    (await run("exec", ...words)).code,
    engine.run(["exec", ...words]).code,
  ];
  expect(await codes("-u", "nosuch", "target", "true")).toEqual([126, 126]);
  expect(await codes("target", "nosuch")).toEqual([127, 127]);
  expect(await codes("target", "/etc")).toEqual([126, 126]);
  expect(
    await codes(
      "-u",
      "33:44",
      "-w",
      "/tmp",
      "-e",
      "A=b",
      "target",
      "sh",
      "-c",
      "test $A$(id -u)$PWD = b33/tmp",
    ),
  ).toEqual([0, 0]);
  expect(await codes("nosuch", "true")).toEqual([1, 1]);
  await ok("rm", "-f", "target");
});

test.skipIf(reason !== "")(
  "a fork bomb, a memory hog and an fd hog leave the engine and a neighbour well",
  async () => {
    await ok("run", "-d", "--name", "neighbour", "busybox", "sleep", "1000");
    const bomb = "f() { f | f & }; f; while :; do :; done";
    await ok(
      "run",
      "-d",
      "--name",
      "bomb",
      "--pids-limit",
      "40",
      "--cpus",
      "0.5",
      "busybox",
      "sh",
      "-c",
      bomb,
    );
    const hog = "a=x; while :; do a=$a$a; done";
    const fds = 'i=10; while test $i -lt 500; do eval "exec $i</dev/null"; i=$((i+1)); done; echo all';
    const [memory, files] = await Promise.all([
      run("run", "--name", "hog", "--memory", "16m", "--memory-swap", "16m", "busybox", "sh", "-c", hog),
      run("run", "--rm", "--ulimit", "nofile=64", "busybox", "sh", "-c", fds),
    ]);
    expect(memory.code).toBe(137);
    expect(await ok("inspect", "-f", "{{.State.OOMKilled}}", "hog")).toBe("true");
    expect([files.code === 0, files.out]).toEqual([false, ""]);
    expect(await ok("exec", "neighbour", "echo", "well")).toBe("well");
    await ok("rm", "-f", "bomb", "hog", "neighbour");
    expect(await ok("ps", "-aq")).toBe("");
  },
);
