/** What a container must not be able to do. Each test tries it from inside. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { TestEngine, binary } from "../lib/engine.ts";

const engine = new TestEngine("security");
beforeAll(async () => {
  await engine.start();
  engine.ok("image", "bootstrap", "-q", "busybox");
}, 120_000);
afterAll(() => engine.uninstall(), 120_000);

const inside = (script: string, ...flags: readonly string[]) =>
  engine.run(["run", "--rm", ...flags, "busybox", "sh", "-c", script]);

describe("the host is not seen", () => {
  test("processes: only its own", () => {
    expect(inside("ls /proc | grep -c '^[0-9]'").out.trim()).toMatch(/^[1-5]$/);
    expect(inside("cat /proc/1/cmdline | tr '\\0' ' '").out).toStartWith("sh -c");
  });

  test("mounts: no path of the host", () => {
    const { out } = inside("cut -d' ' -f2,3 /proc/mounts");
    expect(out).not.toContain(engine.dir);
    expect(out.split("\n").filter((line) => line.startsWith("/ "))).toEqual(["/ overlay"]);
    expect(
      inside("grep -v '^overlay' /proc/self/mountinfo | grep -c ' /var\\| /home\\| /root '").out.trim(),
    ).toBe("0");
  });

  test("the old root is gone", () => {
    expect(inside("ls /.oldroot /.pivot_root* /oldroot").code).not.toBe(0);
    expect(inside("cat /proc/1/root/etc/hostname").out.trim()).toMatch(/^[0-9a-f]{12}$/);
  });
});

describe("the kernel is not touched", () => {
  test.each([
    ["/proc/sysrq-trigger", "echo h > /proc/sysrq-trigger"],
    ["/proc/sys", "echo 1 > /proc/sys/kernel/panic"],
    ["/sys", "mkdir /sys/kernel/x"],
    ["/sys/fs/cgroup", "mkdir /sys/fs/cgroup/memory/x /sys/fs/cgroup/x"],
    ["a masked directory", "touch /proc/acpi/x || touch /sys/firmware/x"],
    ["/proc/irq", "echo 1 > /proc/irq/default_smp_affinity"],
  ])("writing to %s is refused", (_, script) => {
    expect(inside(`${script} 2>/dev/null`).code).not.toBe(0);
  });

  test.each(["/proc/kcore", "/proc/keys", "/proc/timer_list"])("%s reads as nothing", (path) => {
    expect(inside(`test -e ${path} || exit 0; head -c 100 ${path} | wc -c`).out.trim()).toMatch(/^0?$/);
  });

  test.each([
    ["mount", "mount -t tmpfs none /mnt"],
    ["bind mount", "mkdir /m; mount -o bind /proc /m"],
    ["remount of /proc/sys", "mount -o remount,rw /proc/sys"],
    ["umount of a mask", "umount /proc/kcore"],
    ["load a module", "insmod /nothing.ko; [ $? -ne 0 ] && exit 1"],
    ["a new user namespace with mounts", "unshare -Urm true"],
    ["reboot", "reboot -f"],
    ["the clock", 'date -s 2000-01-01; test "$(date +%Y)" = 2000'],
    ["another's hostname by sethostname", "hostname evil"],
    ["chroot-escape device", "mknod /sda b 8 0 && head -c 1 /sda"],
    ["host memory", "mknod /mem c 1 1 && head -c 1 /mem"],
  ])("refused: %s", (_, script) => {
    expect(inside(`(${script}) 2>/dev/null`).code).not.toBe(0);
  });

  test("seccomp filters, and privileges are those of Docker's default set", () => {
    const { out } = inside("grep -E 'Seccomp:|NoNewPrivs|CapEff|CapBnd' /proc/self/status");
    expect(out).toMatch(/Seccomp:\t2/);
    expect(out).toMatch(/CapEff:\t00000000a80425fb/);
    expect(out).toMatch(/CapBnd:\t00000000a80425fb/);
    expect(inside("grep CapEff /proc/self/status", "--user", "1000").out).toMatch(
      /CapEff:\t0000000000000000/,
    );
  });
});

describe("limits hold", () => {
  test("a fork bomb stays within its pids", () => {
    const { code } = inside(
      "i=0; while [ $i -lt 100 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; wait",
      "--pids-limit",
      "20",
    );
    expect(engine.ok("ps", "-q")).toBe("");
    expect(code).not.toBe(125);
  });

  test("memory: the OOM killer is reported truthfully", () => {
    engine.run([
      "run",
      "--name",
      "oom",
      "--memory",
      "16m",
      "--memory-swap",
      "16m",
      "busybox",
      "sh",
      "-c",
      "x=a; while :; do x=$x$x; done",
    ]);
    expect(engine.ok("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "oom")).toBe("true 137");
    engine.ok("rm", "oom");
  });
});

describe("networks are apart", () => {
  test("a container of another network is out of reach, one of the same is not", () => {
    engine.ok("network", "create", "other");
    engine.ok("run", "-d", "--name", "aa", "busybox", "httpd", "-f", "-p", "80");
    const ip = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "aa");
    const knock = `timeout 3 wget -qO- http://${ip}/ 2>&1; exit $?`;
    expect(inside(knock).out).toContain("404");
    const from = inside(knock, "--network", "other");
    expect(from.code).not.toBe(0);
    expect(from.out).not.toContain("404");
    expect(inside("timeout 5 nslookup aa 2>&1; exit $?", "--network", "other").out).not.toContain(ip);
    engine.ok("rm", "-f", "aa");
    engine.ok("network", "rm", "other");
  });

  test("services that listen on the host's loopback are out of reach", () => {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("secret") });
    const gateway = engine.ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge");
    const { out } = inside(
      `timeout 3 wget -qO- http://${gateway}:${server.port}/; ip route add 127.0.0.2/32 via ${gateway}; timeout 3 wget -qO- http://127.0.0.2:${server.port}/`,
    );
    expect(out).not.toContain("secret");
    void server.stop(true);
  });
});

describe("Gantry itself is not touched", () => {
  const digest = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

  test("CVE-2019-5736: /proc/self/exe of what enters a container cannot be written", () => {
    const before = digest(binary);
    engine.ok(
      "run",
      "-d",
      "--name",
      "evil",
      "busybox",
      "sh",
      "-c",
      "cp /bin/busybox /bin/real; printf '#!/proc/self/exe\\n' > /bin/evil; chmod +x /bin/evil; exec sleep 60",
    );
    engine.run(["exec", "evil", "/bin/evil"], { timeoutMs: 10_000 });
    const attack =
      "for p in /proc/[0-9]*; do ( echo x > $p/exe ) 2>/dev/null; exec 9<$p/exe; ( echo x > /proc/self/fd/9 ) 2>/dev/null; exec 9<&-; done; exit 0";
    engine.run(["exec", "evil", "sh", "-c", attack]);
    engine.ok("rm", "-f", "evil");
    expect(digest(binary)).toBe(before);
    expect(engine.ok("run", "--rm", "busybox", "echo", "works")).toBe("works");
  });

  test("CVE-2024-21626: no fd of the host is open inside, and no working directory outside of the root", () => {
    const leak = openSync("/etc", "r");
    try {
      const { out } = inside("ls -l /proc/self/fd | grep -o '[0-9]* -> .*'");
      const fds = out
        .trim()
        .split("\n")
        .filter((line) => !line.includes("/proc/"));
      expect(fds.map((line) => Number(line.split(" ")[0])).filter((fd) => fd > 2)).toEqual([]);
      for (let fd = 3; fd < 16; fd++) {
        const escape = engine.run([
          "run",
          "--rm",
          "--workdir",
          `/proc/self/fd/${fd}`,
          "busybox",
          "sh",
          "-c",
          "cat ../../../../etc/hostname; pwd",
        ]);
        expect(escape.out).not.toContain(readFileSync("/etc/hostname", "utf8").trim());
      }
    } finally {
      closeSync(leak);
    }
  });

  test("exec leaks no fd either", () => {
    engine.ok("run", "-d", "--name", "fds", "busybox", "sleep", "60");
    const { out } = engine.run(["exec", "fds", "ls", "/proc/self/fd"]);
    expect(
      out
        .trim()
        .split("\n")
        .map(Number)
        .filter((fd) => fd > 3),
    ).toEqual([]);
    engine.ok("rm", "-f", "fds");
  });

  test("a symlink in the image does not lead a mount or a copied file out of the root", () => {
    const tree = join(engine.dir, "links");
    mkdirSync(join(tree, "etc"), { recursive: true });
    mkdirSync(join(tree, "bin"));
    mkdirSync(join(tree, "tmp/gantry-escape"), { recursive: true });
    copyFileSync("/bin/busybox", join(tree, "bin/sh"));
    symlinkSync("/../../../../tmp/gantry-escape", join(tree, "data"));
    symlinkSync("/../../../../tmp/gantry-escape-hosts", join(tree, "etc/hosts"));
    const archive = join(engine.dir, "links.tar");
    expect(Bun.spawnSync(["tar", "-C", tree, "-cf", archive, "."]).exitCode).toBe(0);
    engine.ok("import", archive, "links");
    engine.run(["run", "--rm", "-v", "vol:/data", "links", "/bin/sh", "-c", "echo x > /data/x"]);
    expect(
      engine.run(["build", "-"], {
        stdin: "FROM links\nWORKDIR /data/made\nCOPY --from=links /bin /data/copied/\n",
      }).code,
    ).toBe(0);
    expect(Bun.spawnSync(["sh", "-c", "ls -d /tmp/gantry-escape*"]).exitCode).not.toBe(0);
    engine.run(["volume", "rm", "vol"]);
  });
});
