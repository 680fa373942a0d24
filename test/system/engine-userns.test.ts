/** Containers of an engine with --userns-remap: their ids are others on the host, their layers are not copied. Root. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { containerPaths } from "../../src/engine/paths.ts";
import { allStreams, listen, outputStreams, request, type Said, World } from "./engine-world.ts";

setDefaultTimeout(30_000);
const reason = process.getuid?.() === 0 ? "" : "it needs root";
if (reason !== "") process.stdout.write(`engine-userns.test.ts skipped: ${reason}\n`);

const first = 300_000;
const maps = [{ containerID: 0, hostID: first, size: 65_536 }];
const world = new World({ idMaps: { uids: maps, gids: maps } });

beforeAll(async () => {
  if (reason !== "") return;
  // Their root passes through it.
  chmodSync(world.dir, 0o711);
  await world.open();
});
afterAll(async () => {
  if (reason === "") await world.destroy();
});

/** Runs a script to its end. */
async function say(script: string, ...more: [host?: object, config?: object]): Promise<Said> {
  const { engine } = world;
  const { session, id } = await engine.containers.run(request(["sh", "-c", script], ...more), {
    attach: outputStreams,
    rows: 0,
    cols: 0,
  });
  const said = await listen(session);
  await engine.containers.remove(id, { force: true, volumes: false });
  return said;
}

test.skipIf(reason !== "")("a container is root of its own files and nobody's on the host", async () => {
  const { out, err } = await say(
    "id -u; grep -c 300000 /proc/self/uid_map; touch /new; stat -c %u:%g /new /bin/busybox /etc/hosts; echo x >>/etc/hosts && echo wrote; chown 33:34 /new; stat -c %u:%g /new; ping -c1 -W1 127.0.0.1 >/dev/null && echo pinged; cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
  );
  expect([out, err]).toEqual(["0\n1\n0:0\n0:0\n0:0\nwrote\n33:34\npinged\n0\n", ""]);
});

test.skipIf(reason !== "")("it can have an init", async () => {
  expect((await say("cat /proc/1/comm; kill -0 1 && echo mine", { Init: true })).out).toBe(
    "gantry-init\nmine\n",
  );
});

test.skipIf(reason !== "")("it can change, remove and rename what the image has", async () => {
  const script =
    "chmod 700 /data/seed; stat -c %a:%u /data/seed; rm /etc/group; ls /etc; mkdir /data/d; mv /data/seed /data/d; ls /data /data/d";
  expect(await say(script)).toMatchObject({
    out: "700:0\nhostname\nhosts\npasswd\nresolv.conf\n/data:\nd\n\n/data/d:\nseed\n",
    err: "",
  });
});

test.skipIf(reason !== "")("on the disk its files have the ids it sees, its processes others", async () => {
  const { engine } = world;
  const { id } = await engine.containers.run(
    request(["sh", "-c", "touch /mine; chown 33:34 /mine; exec sleep 100"]),
    { attach: undefined, rows: 0, cols: 0 },
  );
  const { state } = engine.containers.view(id);
  const mine = join(containerPaths(engine.paths, id).upper, "mine");
  for (let tries = 0; tries < 100 && statSync(mine, { throwIfNoEntry: false })?.uid !== 33; tries++)
    await Bun.sleep(20);
  expect(statSync(mine)).toMatchObject({ uid: 33, gid: 34 });
  expect(readFileSync(`/proc/${state.pid}/status`, "utf8")).toContain(`Uid:\t${first}\t${first}`);

  const exec = engine.execs.create(id, {
    cmd: ["sh", "-c", "id -u; stat -c %u /mine; touch /by-exec; stat -c %u /by-exec"],
    env: [],
    user: "",
    workingDir: "",
    tty: false,
    privileged: false,
    attachStdin: false,
    attachStdout: true,
    attachStderr: true,
    detachKeys: "",
  });
  const { session } = await engine.execs.start(exec.id, { attach: allStreams, rows: 0, cols: 0 });
  expect((await listen(session)).out).toBe("0\n33\n0\n");

  expect((await say("ps | grep -c '[s]leep 100'", { PidMode: `container:${id}` })).out).toBe("1\n");
  await engine.containers.remove(id, { force: true, volumes: true });
});

test.skipIf(reason !== "")(
  "a volume has the host's ids of the container, also of what the image had there",
  async () => {
    const { out } = await say("stat -c %u /data /data/seed; touch /data/more; stat -c %u /data/more", {
      Binds: ["mapped:/data"],
    });
    expect(out).toBe("0\n0\n0\n");
    const path = world.engine.volumes.find("mapped").path;
    for (const file of ["", "seed", "more"]) expect(statSync(join(path, file)).uid).toBe(first);
    await world.engine.volumes.remove("mapped", { force: true });
  },
);

test.skipIf(reason !== "")(
  "--userns host has none; what needs the host's is refused in dockerd's words",
  async () => {
    expect((await say("grep -c 4294967295 /proc/self/uid_map", { UsernsMode: "host" })).out).toBe("1\n");
    for (const [host, words] of [
      [{ Privileged: true }, "privileged mode is incompatible with user namespaces"],
      [{ PidMode: "host" }, "cannot share the host PID namespace"],
      [{ NetworkMode: "host" }, "cannot share the host's network namespace"],
    ] as const) {
      let message = "";
      try {
        await world.engine.containers.create(request(["true"], host));
      } catch (error) {
        message = String(error);
      }
      expect(message).toContain(words);
    }
  },
);
