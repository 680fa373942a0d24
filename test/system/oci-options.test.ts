/**
 * The options of create, run, exec and start on the real kernel: sockets, descriptors, hooks and cgroups. As root:
 * scripts/bun test test/system/oci-options.test.ts
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { gantryOci, OciWorld } from "./oci-program.ts";
import { cgroupLeftovers, cgroups } from "./runtime-world.ts";

const own = new OciWorld();
const { world, root } = own;
const withPython = Bun.which("python3") !== null;

afterAll(() => own.cleanUp());

const command = (...words: string[]): string => [gantryOci, "--root", root, ...words].join(" ");

/** A program that does what needs sockets and terminals; prints one JSON value. */
function python(script: string, ...args: string[]): Record<string, unknown> {
  const ran = Bun.spawnSync(["python3", "-c", script, ...args], {
    cwd: world.dir,
    stdin: "ignore",
    timeout: 30_000,
  });
  expect(ran.exitCode, ran.stderr.toString()).toBe(0);
  return JSON.parse(ran.stdout.toString()) as Record<string, unknown>;
}

test("--preserve-fds and $LISTEN_FDS: what is open from 3 on goes on, with its names", () => {
  const dir = own.bundle("fds", [
    "sh",
    "-c",
    "cat <&3; cat <&4; (cat <&5) 2>/dev/null; env | grep ^LISTEN | sort",
  ]);
  for (const name of ["a", "b", "c"]) writeFileSync(`${world.dir}/${name}`, `${name}\n`);
  const shell = (options: string, env: string): string => {
    const ran = Bun.spawnSync(
      ["sh", "-c", `exec 3<a 4<b 5<c; ${env} ${command("run", options, "-b", dir, "fds")}`],
      { cwd: world.dir, stdin: "ignore" },
    );
    return ran.stdout.toString() + ran.stderr.toString();
  };
  expect(shell("--preserve-fds 2", "")).toStartWith("a\nb\n");
  expect(shell("--preserve-fds 2", "")).not.toContain("c\n");
  expect(shell("--preserve-fds 1", "LISTEN_FDS=1 LISTEN_FDNAMES=web")).toBe(
    "a\nb\nLISTEN_FDNAMES=web\nLISTEN_FDS=1\nLISTEN_PID=1\n",
  );
  expect(own.call("run", "--preserve-fds", "900", "-b", dir, "fds")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("--preserve-fds: file descriptor "),
  });
  expect(existsSync(`${root}/fds`)).toBe(false);
});

const receiveFd = `
import socket, sys, os, json, array, subprocess
path, args = sys.argv[1], sys.argv[2:]
server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen(1); server.settimeout(10)
ran = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
connection, _ = server.accept()
data, ancillary, _, _ = connection.recvmsg(100, socket.CMSG_SPACE(16))
fd = array.array("i", ancillary[0][2][:4])[0]
`;

test.skipIf(!withPython)("--console-socket: create and exec send the master of the terminal", () => {
  const dir = own.bundle("tty", ["sh", "-c", "read line; echo got $line; sleep 60"], {
    process: { terminal: true, consoleSize: { height: 33, width: 77 } },
  });
  const talk = `${receiveFd}
subprocess.run(sys.argv[2:5] + ["start", sys.argv[-1]], stdout=subprocess.DEVNULL)
import time, fcntl, termios, struct
rows, cols = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"0" * 8))[:2]
os.write(fd, b"hello\\n")
text = b""
until = time.time() + 5
while b"got hello" not in text and time.time() < until: text += os.read(fd, 1000)
print(json.dumps({"code": ran.returncode, "name": data.decode(), "size": [rows, cols], "text": text.decode()}))
`;
  const words = [gantryOci, "--root", root, "create", "--console-socket", "c.sock", "-b", dir, "tty"];
  const got = python(talk, "c.sock", ...words);
  expect(got).toMatchObject({ code: 0, name: "/dev/ptmx", size: [33, 77] });
  expect(got["text"]).toContain("got hello");
  const exec = [gantryOci, "--root", root, "exec", "-td", "--console-socket", "e.sock", "tty", "tty"];
  expect(
    python(
      `${receiveFd}
print(json.dumps({"code": ran.returncode, "isTerminal": os.isatty(fd)}))`,
      "e.sock",
      ...exec,
    ),
  ).toEqual({
    code: 0,
    isTerminal: true,
  });
});

test("the rules of a terminal and its socket, in runc's words", () => {
  const plain = own.bundle("plain", ["true"]);
  const tty = own.bundle("ttys", ["true"], { process: { terminal: true } });
  const words = (...args: string[]): string => own.call(...args).stderr;
  expect(words("create", "--console-socket", "x", "-b", plain, "plain")).toContain(
    "cannot use console socket if gantry-oci will not allocate tty",
  );
  expect(words("create", "-b", tty, "ttys")).toContain(
    "cannot allocate tty if gantry-oci will detach without setting console socket",
  );
  expect(words("run", "--console-socket", "x", "-b", tty, "ttys")).toContain(
    "cannot use console socket if gantry-oci will not detach",
  );
  expect(existsSync(`${root}/ttys`)).toBe(false);
});

test.skipIf(!withPython)("a terminal of ours is relayed whole, with its size", () => {
  const dir = own.bundle("relay", ["sh", "-c", "stty size; seq 1 20000; exit 6"], {
    process: { terminal: true },
  });
  const got = python(
    `
import pty, os, sys, json, fcntl, termios, struct
pid, fd = pty.fork()
if pid == 0:
  fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 91, 0, 0))
  os.execvp(sys.argv[1], sys.argv[1:])
text = b""
while True:
  try: piece = os.read(fd, 65536)
  except OSError: break
  if not piece: break
  text += piece
lines = text.decode().split("\\r\\n")
print(json.dumps({"size": lines[0], "all": lines[1:-1] == [str(i) for i in range(1, 20001)], "code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}))
`,
    gantryOci,
    "--root",
    root,
    "run",
    "-b",
    dir,
    "relay",
  );
  expect(got).toEqual({ size: "31 91", all: true, code: 6 });
});

test.skipIf(!withPython)("--pidfd-socket: create, run and exec send a pidfd", () => {
  const dir = own.bundle("pidfd", ["sleep", "60"]);
  const script = `${receiveFd}
print(json.dumps({"code": ran.returncode, "pid": [l for l in open("/proc/self/fdinfo/%d" % fd) if l.startswith("Pid:")][0].split()[1]}))`;
  const program = [gantryOci, "--root", root];
  const made = python(script, "p1", ...program, "create", "--pidfd-socket", "p1", "-b", dir, "pidfd");
  expect(made).toEqual({ code: 0, pid: String(own.state("pidfd")["pid"]) });
  own.call("start", "pidfd");
  const more = python(
    script,
    "p2",
    ...program,
    "exec",
    "-d",
    "--pidfd-socket",
    "p2",
    "--pid-file",
    "epid",
    "pidfd",
    "sleep",
    "9",
  );
  expect(more).toEqual({ code: 0, pid: readFileSync(`${world.dir}/epid`, "utf8") });
  const none = own.bundle("nopidfd", ["sleep", "60"]);
  const failed = own.call("run", "-d", "--pidfd-socket", "none", "-b", none, "nopidfd");
  expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining("send the pidfd to") });
  expect(own.call("state", "nopidfd").stderr).toBe("container does not exist\n");
  expect(cgroupLeftovers(own.cgroup("nopidfd"))).toEqual([]);
});

/** What python3 needs of the host. */
const hostPrograms = ["/usr", "/lib", "/lib64"]
  .filter((path) => existsSync(path))
  .map((path) => ({ destination: path, source: realpathSync(path), options: ["rbind", "ro"] }));

test.skipIf(!withPython)("$NOTIFY_SOCKET: run --detach and start wait for READY and pass it on", () => {
  const script = `
import socket, os, sys, json, subprocess, array
path = sys.argv[1]
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); server.bind(path); server.settimeout(3)
env = dict(os.environ, NOTIFY_SOCKET=os.path.abspath(path))
setup = sys.argv[2:sys.argv.index("--")]
if setup: subprocess.run(setup, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
child = subprocess.Popen(sys.argv[sys.argv.index("--") + 1:], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
said = []
while True:
  data, ancillary, _, _ = server.recvmsg(1000, socket.CMSG_SPACE(16))
  said.append(data.decode())
  if data.startswith(b"BARRIER"):
    for part in ancillary: os.close(array.array("i", part[2][:4])[0])
    break
print(json.dumps({"said": said, "code": child.wait(10)}))
`;
  const say = `import socket,os,time
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.connect(os.environ["NOTIFY_SOCKET"]); s.send(b"STATUS=up\\nREADY=1"); time.sleep(60)`;
  const program = [gantryOci, "--root", root];
  const { mounts = [] } = world.container({}).config;
  for (const [id, verb] of [
    ["ready", "run"],
    ["ready2", "start"],
  ] as const) {
    const dir = own.bundle(id, ["/usr/bin/python3", "-c", say], { mounts: [...mounts, ...hostPrograms] });
    const setup = verb === "start" ? [...program, "create", "-b", dir, id] : [];
    const words = verb === "start" ? ["start", id] : ["run", "-d", "-b", dir, id];
    const got = python(script, `n.${id}`, ...setup, "--", ...program, ...words);
    const { pid } = own.state(id);
    expect(got).toEqual({ code: 0, said: ["READY=1\n", `MAINPID=${String(pid)}\n`, "BARRIER=1"] });
  }
});

test("--no-pivot: the container sees its own root alone", () => {
  const dir = own.bundle("chroot", [
    "sh",
    "-c",
    "ls /; test -e /proc/1/root/tmp && cat /proc/self/mountinfo | head -1",
  ]);
  const answer = own.call("run", "--no-pivot", "-b", dir, "chroot");
  expect(answer).toMatchObject({ code: 0, stderr: "" });
  expect(answer.stdout).toContain("bin\n");
  expect(answer.stdout).not.toContain("boot\n");
  expect(cgroupLeftovers(own.cgroup("chroot"))).toEqual([]);
});

test("--keep: the container stays as stopped until it is deleted", () => {
  const dir = own.bundle("kept", ["sh", "-c", "exit 3"]);
  expect(own.call("run", "--keep", "-b", dir, "kept").code).toBe(3);
  expect(own.state("kept")).toMatchObject({ status: "stopped", pid: 0 });
  expect(cgroupLeftovers(own.cgroup("kept"))).not.toEqual([]);
  expect(own.call("delete", "kept").code).toBe(0);
  expect(cgroupLeftovers(own.cgroup("kept"))).toEqual([]);
});

test("--keep without a pid namespace: nothing of the container runs on", () => {
  const namespaces = ["ipc", "uts", "mount", "network"].map((type) => ({ type }));
  const dir = own.bundle(
    "kept-shared",
    ["sh", "-c", "sleep 63 > /dev/null 2>&1 & echo $!"],
    {},
    { namespaces },
  );
  const { code, stdout } = own.call("run", "--keep", "-b", dir, "kept-shared");
  expect(code).toBe(0);
  expect(existsSync(`/proc/${stdout.trim()}/exe`)).toBe(false);
  expect(own.call("delete", "kept-shared").code).toBe(0);
  expect(cgroupLeftovers(own.cgroup("kept-shared"))).toEqual([]);
});

test("a poststart hook that fails fails start and run, and the container is killed", () => {
  const hooks = { poststart: [{ path: "/bin/sh", args: ["sh", "-c", "echo no; echo bad >&2; exit 4"] }] };
  const dir = own.bundle("post", ["sleep", "60"], { hooks });
  own.call("create", "-b", dir, "post");
  const words = "error running poststart hook #0: /bin/sh: exit status 4: no; bad";
  expect(own.call("start", "post")).toEqual({ code: 1, stdout: "", stderr: `${words}\n` });
  expect(own.status("post")).toBe("stopped");
  expect(own.call("delete", "post").code).toBe(0);
  expect(own.call("run", "-d", "-b", dir, "post")).toMatchObject({
    code: 1,
    stderr: `gantry-oci run failed: ${words}\n`,
  });
  expect(own.call("state", "post").stderr).toBe("container does not exist\n");
  expect(cgroupLeftovers(own.cgroup("post"))).toEqual([]);
});

const hook = (script: string, timeout?: number): object => ({
  path: "/bin/sh",
  args: ["own-name", "-c", script],
  ...(timeout === undefined ? {} : { timeout }),
});

test("poststop hooks: all run, a failure is a warning, and a hook that hangs is killed", () => {
  const log = `${world.dir}/stops.log`;
  const hooks = {
    poststop: [hook("exit 1"), hook("sleep 60", 1), hook(`cat > ${log}; echo "$0" >> ${log}`)],
  };
  const dir = own.bundle("stops", ["true"], { hooks });
  const answer = own.call("run", "-b", dir, "stops");
  expect(answer.code).toBe(0);
  expect(answer.stderr).toContain("level=warning");
  expect(answer.stderr).toContain("poststop hook #0");
  expect(answer.stderr).toContain("poststop hook #1: /bin/sh: hook ran past specified timeout of 1s");
  expect(
    JSON.parse(
      readFileSync(log, "utf8")
        .split("\n")[0]
        ?.replace(/own-name$/, "") ?? "",
    ),
  ).toMatchObject({
    id: "stops",
    status: "stopped",
    bundle: dir,
  });
});

test.skipIf(cgroups.kind === "v2")(
  "exec --cgroup: a cgroup below the container's, of one controller or of all",
  () => {
    const dir = own.bundle("sub", ["sleep", "60"]);
    own.call("run", "-d", "-b", dir, "sub");
    const pids = cgroups.controllers["pids"] ?? "";
    const below = `${pids}${own.cgroup("sub")}/below`;
    mkdirSync(below);
    const answer = own.call("exec", "--cgroup", "pids:below", "sub", "cat", "/proc/self/cgroup");
    expect(answer.code, answer.stderr).toBe(0);
    expect(answer.stdout).toMatch(/:pids:\/below$/m);
    expect(answer.stdout).toMatch(/:memory:\/$/m);
    expect(own.call("exec", "--cgroup", "memory:none", "sub", "true")).toMatchObject({
      code: 255,
      stderr: expect.stringContaining("exec failed: --cgroup: adding pid to "),
    });
    expect(own.call("exec", "--cgroup", "../x", "sub", "true").stderr).toContain("is not [CONTROLLER:]PATH");
    expect(own.call("delete", "-f", "sub").code).toBe(0);
    expect(existsSync(below)).toBe(false);
  },
);

test("kill --all reaches every process; names, numbers and both cases", async () => {
  const dir = own.bundle("many", ["sh", "-c", "sleep 60 & sleep 60 & wait"]);
  own.call("run", "-d", "-b", dir, "many");
  expect(own.call("kill", "many", "NOPE")).toMatchObject({ code: 1, stderr: 'unknown signal "NOPE"\n' });
  for (const signal of ["0", "CONT", "SIGCONT", "sigcont", "18"])
    expect(own.call("kill", "many", signal), signal).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(own.call("kill", "--all", "many", "9").code).toBe(0);
  await own.until("many", "stopped");
  expect(own.status("many")).toBe("stopped");
  expect(own.call("kill", "--all", "many", "9").code).toBe(0);
  expect(own.call("delete", "many").code).toBe(0);
});

test("kill KILL ends a paused container, and all processes of one without a pid namespace", async () => {
  const paused = own.bundle("frozen", ["sleep", "60"]);
  own.call("run", "-d", "-b", paused, "frozen");
  expect(own.call("pause", "frozen").code).toBe(0);
  expect(own.call("kill", "frozen", "KILL")).toEqual({ code: 0, stdout: "", stderr: "" });
  await own.until("frozen", "stopped");
  expect(own.status("frozen")).toBe("stopped");
  const types = ["ipc", "uts", "mount", "network"].map((type) => ({ type }));
  const shared = own.bundle("shared", ["sh", "-c", "sleep 61 & sleep 62 & wait"], {}, { namespaces: types });
  own.call("run", "-d", "-b", shared, "shared");
  const pids = JSON.parse(own.call("ps", "-f", "json", "shared").stdout) as number[];
  expect(own.call("kill", "shared", "KILL")).toEqual({ code: 0, stdout: "", stderr: "" });
  await own.until("shared", "stopped");
  for (let i = 0; i < 100 && pids.some((pid) => existsSync(`/proc/${pid}/exe`)); i++) await Bun.sleep(10);
  expect(pids.filter((pid) => existsSync(`/proc/${pid}/exe`))).toEqual([]);
  for (const id of ["frozen", "shared"]) expect(own.call("delete", id).code).toBe(0);
});

test("--root and what is in it is for its owner", () => {
  const dir = own.bundle("modes", ["sleep", "60"]);
  own.call("create", "-b", dir, "modes");
  expect(statSync(`${root}/modes`).mode & 0o777).toBe(0o711);
  for (const file of ["state.json", "config.json", "process", "exec.fifo"])
    expect(statSync(`${root}/modes/${file}`).mode & 0o077, file).toBe(0);
});
