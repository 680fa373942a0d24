/**
 * Bridge networks on the real kernel. The test runs itself again in a network namespace of its own, which is "the host"
 * here: nothing on the real host is touched, which the outer run checks. Needs root, unshare, nsenter, ip and nft.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Sys } from "../../src/kernel/index.ts";
import { createLogger, Database } from "../../src/lib/index.ts";
import { Networks } from "../../src/network/index.ts";
import {
  askHere,
  endWorld,
  kernelState,
  logged,
  newContainerId,
  newPlace,
  openNetworks,
  type Place,
  plug,
  type Plugged,
  routeLoopback,
  run,
  scratch,
  sys,
} from "./network-world.ts";

const inside = process.env["GANTRY_TEST_NETNS"] === "1";
/** What this test could leave on the real host; other engines come and go there meanwhile. */
const ourTraces = (): string[] =>
  (run("nft", "list", "tables") + run("ip", "-o", "link").replaceAll(/^\d+: |[@<].*/gm, ""))
    .split("\n")
    .filter((line) => /\buplink|12ab34|abcdef|bbbbbb|gantry$|gantry[0-9]/.test(line));

afterAll(endWorld);

describe.if(!inside)("from outside", () => {
  test("all tests pass in a network namespace, and the host is as before", async () => {
    const before = ourTraces();
    const child = Bun.spawn(["unshare", "-n", process.execPath, "test", import.meta.path], {
      env: { ...process.env, GANTRY_TEST_NETNS: "1" },
      stdout: "inherit",
      stderr: "inherit",
    });
    expect(await child.exited).toBe(0);
    expect(ourTraces()).toEqual(before);
  }, 180_000);
});

describe.if(inside)("bridge networks", () => {
  let before = "";
  let networks: Networks;
  let outside: Place;
  let web: Plugged;
  let client: Plugged;
  let stranger: Plugged;
  const webId = newContainerId();
  const loopback = "127.0.0.1";
  const hostAddress = "192.0.2.1";
  const outsideAddress = "192.0.2.2";

  beforeAll(async () => {
    run("ip", "link", "set", "lo", "up");
    outside = await newPlace();
    const cable = [
      "ip",
      "link",
      "add",
      "uplink",
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      String(outside.pid),
    ];
    run(...cable);
    run("ip", "addr", "add", `${hostAddress}/24`, "dev", "uplink");
    run("ip", "link", "set", "uplink", "up");
    const there = ["nsenter", "-t", String(outside.pid), "-n", "ip"];
    run(...there, "addr", "add", `${outsideAddress}/24`, "dev", "eth0");
    run(...there, "link", "set", "eth0", "up");
    // A hostile neighbour: it sends what is meant for containers, and for the host's loopback, to the host.
    run(...there, "route", "add", "10.0.0.0/8", "via", hostAddress);
    await outside.serve("outside", 7000);
    before = kernelState();
    networks = (await openNetworks("")).networks;
    await networks.create({
      name: "back",
      driver: "",
      internal: false,
      attachable: false,
      ipv6: false,
      labels: { tier: "back" },
      options: { "com.docker.network.driver.mtu": "1400" },
      ipam: [{ subnet: "10.77.0.0/24", gateway: "", ipRange: "10.77.0.128/25" }],
      ipamDriver: "",
    });
    web = await plug(networks, {
      containerId: webId,
      name: "web",
      network: "bridge",
      aliases: ["www"],
      ports: [
        { protocol: "tcp", containerPort: 80, hostIp: "", hostPort: 8080 },
        { protocol: "udp", containerPort: 80, hostIp: "", hostPort: 8080 },
        { protocol: "tcp", containerPort: 80, hostIp: loopback, hostPort: 9090 },
        { protocol: "tcp", containerPort: 80, hostIp: "", hostPort: 0 },
      ],
    });
    await web.serve("web", 80);
    client = await plug(networks, { containerId: newContainerId(), name: "client", network: "bridge" });
    stranger = await plug(networks, { containerId: newContainerId(), name: "stranger", network: "back" });
    await stranger.serve("stranger", 80);
  }, 60_000);

  test("addresses, hardware address, MTU and interface number are as planned", () => {
    expect(web.attachment.endpoint).toMatchObject({
      ip: "10.88.0.2",
      gateway: "10.88.0.1",
      mac: "02:42:0a:58:00:02",
      prefixLength: 16,
    });
    expect(stranger.attachment.endpoint).toMatchObject({
      ip: "10.77.0.128",
      gateway: "10.77.0.1",
      networkName: "back",
    });
    const links = run("nsenter", "-t", String(stranger.pid), "-n", "ip", "-o", "link");
    expect(links).toContain("60: eth0@");
    expect(links).toContain("mtu 1400");
    expect(links).toContain("state UP");
    expect(links).toMatch(/lo: <LOOPBACK,UP/);
  });

  test("a published port: from this host by any address, from outside, TCP and UDP", async () => {
    expect(await askHere("tcp", loopback, "8080")).toBe("tcp web saw 10.88.0.1");
    expect(await askHere("tcp", hostAddress, "8080")).toBe(`tcp web saw ${hostAddress}`);
    expect(await askHere("tcp", "10.88.0.1", "8080")).toBe("tcp web saw 10.88.0.1");
    expect(await askHere("udp", loopback, "8080")).toBe("udp web saw 10.88.0.1");
    expect(await askHere("udp", hostAddress, "8080")).toBe(`udp web saw ${hostAddress}`);
    expect(await outside.ask("tcp", hostAddress, "8080")).toBe(`tcp web saw ${outsideAddress}`);
    expect(await outside.ask("udp", hostAddress, "8080")).toBe(`udp web saw ${outsideAddress}`);
    const picked = web.attachment.endpoint.ports[3]?.hostPort ?? 0;
    expect(picked).toBeGreaterThan(1023);
    expect(await outside.ask("tcp", hostAddress, String(picked))).toBe(`tcp web saw ${outsideAddress}`);
  }, 30_000);

  test("a published port: from a neighbour, from itself, from another network", async () => {
    expect(await client.ask("tcp", hostAddress, "8080")).toBe("tcp web saw 10.88.0.1");
    expect(await client.ask("udp", "10.88.0.1", "8080")).toBe("udp web saw 10.88.0.1");
    expect(await web.ask("tcp", hostAddress, "8080")).toBe("tcp web saw 10.88.0.1");
    expect(await stranger.ask("tcp", hostAddress, "8080")).toBe("tcp web saw 10.77.0.128");
  }, 30_000);

  test("a port published on 127.0.0.1 is for this host only", async () => {
    expect(await askHere("tcp", loopback, "9090")).toBe("tcp web saw 10.88.0.1");
    expect(await askHere("tcp", hostAddress, "9090")).toBe("ECONNREFUSED");
    expect(await outside.ask("tcp", hostAddress, "9090")).toBe("ECONNREFUSED");
    const restore = routeLoopback(outside.pid, hostAddress);
    expect(await outside.ask("tcp", loopback, "9090")).toBe("timeout");
    restore();
  }, 30_000);

  test("containers of one network reach each other, those of different networks do not, either way", async () => {
    expect(await client.ask("tcp", "10.88.0.2", "80")).toBe("tcp web saw 10.88.0.3");
    expect(await stranger.ask("tcp", "10.88.0.2", "80")).toBe("timeout");
    expect(await client.ask("tcp", "10.77.0.128", "80")).toBe("timeout");
    expect(await client.ask("udp", "10.77.0.128", "80")).toBe("timeout");
  }, 30_000);

  test("outside is reached by the host's address; from outside only what is published", async () => {
    expect(await client.ask("tcp", outsideAddress, "7000")).toBe(`tcp outside saw ${hostAddress}`);
    expect(await client.ask("udp", outsideAddress, "7000")).toBe(`udp outside saw ${hostAddress}`);
    expect(await outside.ask("tcp", "10.88.0.2", "80")).toBe("timeout");
  }, 30_000);

  test("a container does not get at servers on the host's loopback", async () => {
    const server = Bun.listen({
      hostname: loopback,
      port: 7777,
      socket: { open: (socket) => void socket.end("secret"), data() {} },
    });
    const restore = routeLoopback(client.pid, "10.88.0.1");
    expect(await client.ask("tcp", loopback, "7777")).toBe("timeout");
    restore();
    server.stop(true);
  }, 30_000);

  test("host ports: taken by us, taken by another program, held against other programs", async () => {
    const ask = (hostPort: number, hostIp = "") =>
      networks.attach({
        containerId: newContainerId(),
        name: "late",
        network: "bridge",
        aliases: [],
        ports: [{ protocol: "tcp", containerPort: 80, hostIp, hostPort }],
      });
    const words = "driver failed programming external connectivity on endpoint late";
    await expect(ask(8080)).rejects.toThrow(/Bind for 0\.0\.0\.0:8080 failed: port is already allocated$/);
    await expect(ask(8080, loopback)).rejects.toThrow(words);
    const other = Bun.listen({ hostname: "0.0.0.0", port: 8181, socket: { data() {} } });
    await expect(ask(8181)).rejects.toThrow(
      /failed to bind host port for 0\.0\.0\.0:8181:10\.88\.0\.4:80\/tcp: address already in use$/,
    );
    other.stop(true);
    expect(() => Bun.listen({ hostname: "0.0.0.0", port: 8080, socket: { data() {} } })).toThrow();
    expect(networks.list().map(({ name }) => name)).toEqual(["bridge", "host", "none", "back"]);
    expect(networks.endpointsOf(networks.find("bridge").id).map(({ name }) => name)).toEqual([
      "web",
      "client",
    ]);
  });

  test("DNS: names, aliases, short ids, of the own network only, and the world", async () => {
    const upstream = await Bun.udpSocket({
      hostname: loopback,
      port: 53,
      socket: { data: (socket, bytes, port, address) => void socket.send(worldAnswer(bytes), port, address) },
    });
    const gateway = "10.88.0.1";
    const cases = [
      ["web", "A", "0 10.88.0.2"],
      ["WWW", "A", "0 10.88.0.2"],
      [webId.slice(0, 12), "A", "0 10.88.0.2"],
      ["web.bridge", "A", "0 10.88.0.2"],
      ["web", "AAAA", "0"],
      ["2.0.88.10.in-addr.arpa", "PTR", "0 web.bridge"],
      ["9.0.88.10.in-addr.arpa", "PTR", "3"],
      ["example.org", "A", "0 203.0.113.7"],
      // Not of this network: the world is asked, which knows no such name.
      ["stranger", "A", "3"],
    ] as const;
    for (const [name, type, want] of cases) {
      expect([name, type, await client.ask("dns-udp", gateway, name, type)]).toEqual([name, type, want]);
    }
    expect(await client.ask("dns-tcp", gateway, "web", "A")).toBe("0 10.88.0.2");
    expect(await stranger.ask("dns-udp", "10.77.0.1", "stranger", "A")).toBe("0 10.77.0.128");
    // Another network's server is silent to us, and so is ours to the outside.
    expect(await client.ask("dns-udp", "10.77.0.1", "stranger", "A")).toBe("timeout");
    expect(await outside.ask("dns-udp", gateway, "web", "A")).toBe("timeout");
    upstream.close();
    // The upstream is gone: refused at once, and there is no other.
    expect(await client.ask("dns-udp", gateway, "example.org", "A")).toBe("2");
    networks.rename(webId, "shop");
    expect(await client.ask("dns-udp", gateway, "shop", "A")).toBe("0 10.88.0.2");
  }, 60_000);

  test("port 53 of the host can be published all the same", async () => {
    const port = { protocol: "udp", containerPort: 80, hostIp: "", hostPort: 53 } as const;
    const names = await plug(networks, {
      containerId: newContainerId(),
      name: "names",
      network: "bridge",
      ports: [port],
    });
    await names.serve("names", 80);
    expect(await outside.ask("udp", hostAddress, "53")).toBe(`udp names saw ${outsideAddress}`);
    expect(await client.ask("dns-udp", "10.88.0.1", "names", "A")).toBe(`0 ${names.attachment.endpoint.ip}`);
    await names.end();
    names.teardown();
    networks.release(names.attachment.endpoint.containerId);
  }, 30_000);

  test("a UDP client that never stops sending reaches a container that comes later", async () => {
    const answers: string[] = [];
    const sender = await Bun.udpSocket({
      connect: { hostname: hostAddress, port: 8484 },
      socket: { data: (_socket, bytes) => void answers.push(Buffer.from(bytes).toString()), error() {} },
    });
    // Now the kernel knows this flow as one to the host itself.
    for (let i = 0; i < 3; i++, await Bun.sleep(10)) sender.send("who");
    const port = { protocol: "udp", containerPort: 80, hostIp: "", hostPort: 8484 } as const;
    const late = await plug(networks, {
      containerId: newContainerId(),
      name: "late",
      network: "bridge",
      ports: [port],
    });
    await late.serve("late", 80);
    for (let i = 0; i < 50 && answers.length === 0; i++, await Bun.sleep(20)) sender.send("who");
    expect(answers[0]).toStartWith("udp late saw");
    sender.close();
    await late.end();
    late.teardown();
    networks.release(late.attachment.endpoint.containerId);
  }, 30_000);

  test("without nftables: networks open, host and none are there, a bridge says what is missing", async () => {
    const blind: Sys = {
      ...sys,
      netlinkOpen: (protocol) => {
        if (protocol === 12) throw Object.assign(new Error("EPROTONOSUPPORT"), { code: "EPROTONOSUPPORT" });
        return sys.netlinkOpen(protocol);
      },
    };
    const blindLog: string[] = [];
    const db = new Database(":memory:");
    const others = await Networks.open({
      db,
      sys: blind,
      logger: createLogger("debug", (line) => void blindLog.push(line)),
      instance: "bbbbbb",
    });
    expect(others.list().map(({ name }) => name)).toEqual(["bridge", "host", "none"]);
    expect(blindLog.join("")).toContain("network.unavailable");
    const wish = { containerId: newContainerId(), name: "x", network: "bridge", aliases: [], ports: [] };
    await expect(others.attach(wish)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("bridge networks need nftables"),
    });
    others.release(wish.containerId);
    await others.reconcile(new Set());
    expect(run("ip", "-o", "link")).not.toContain("bbbbbb");
    await others.deleteAll();
    db.close();
  });

  test("an internal network: no way out, none in, no names of the world", async () => {
    const base = {
      driver: "bridge",
      attachable: false,
      ipv6: false,
      labels: {},
      options: {},
      ipam: [],
      ipamDriver: "default",
    };
    const { id } = await networks.create({ ...base, name: "vault", internal: true });
    const ports = [{ protocol: "tcp", containerPort: 80, hostIp: "", hostPort: 8282 }] as const;
    const a = await plug(networks, { containerId: newContainerId(), name: "a", network: id, ports });
    const b = await plug(networks, { containerId: newContainerId(), name: "b", network: "vault" });
    await a.serve("a", 80);
    const { ip, gateway, ports: published } = a.attachment.endpoint;
    expect([ip, gateway, published]).toEqual(["10.89.0.2", "", []]);
    expect(await b.ask("tcp", ip, "80")).toBe(`tcp a saw ${b.attachment.endpoint.ip}`);
    run("nsenter", "-t", String(b.pid), "-n", "ip", "route", "add", "default", "via", "10.89.0.1");
    expect(await b.ask("tcp", outsideAddress, "7000")).toBe("timeout");
    expect(await b.ask("tcp", hostAddress, "8080")).toBe("timeout");
    expect(await client.ask("tcp", ip, "80")).toBe("timeout");
    expect(await b.ask("dns-udp", "10.89.0.1", "a", "A")).toBe(`0 ${ip}`);
    expect(await b.ask("dns-udp", "10.89.0.1", "example.org", "A")).toBe("3");
    expect(networks.resolvConf("vault", { dns: [], search: [], options: [] })).toStartWith(
      "nameserver 10.89.0.1\n",
    );
    await expect(networks.remove("vault")).rejects.toThrow(
      `error while removing network: network vault id ${id} has active endpoints`,
    );
    for (const container of [a, b]) {
      await container.end();
      container.teardown();
      networks.release(container.attachment.endpoint.containerId);
    }
    await networks.remove("vault");
    expect(run("ip", "-o", "link")).not.toContain("gantry2");
  }, 60_000);

  test("two engines on one host: different bridges, subnets and tables, no way from one to the other", async () => {
    const { networks: others } = await openNetworks("12ab34");
    expect(others.find("bridge").bridge).toMatchObject({ device: "g12ab340", subnet: "10.89.0.0/16" });
    const guest = await plug(others, { containerId: newContainerId(), name: "guest", network: "bridge" });
    await guest.serve("guest", 80);
    expect(await client.ask("tcp", guest.attachment.endpoint.ip, "80")).toBe("timeout");
    expect(await guest.ask("tcp", "10.88.0.2", "80")).toBe("timeout");
    expect(await guest.ask("tcp", hostAddress, "8080")).toContain("tcp web saw");
    await guest.end();
    await others.deleteAll();
    expect(run("ip", "-o", "link")).not.toContain("12ab34");
    expect(run("nft", "list", "tables")).toBe("table ip gantry\n");
  }, 30_000);

  test("an engine that comes back finds its endpoints and forgets the dead with all they had", async () => {
    const path = join(scratch, "gantry.db");
    const first = await openNetworks("abcdef", path);
    const ports = [{ protocol: "tcp", containerPort: 80, hostIp: "", hostPort: 8383 }] as const;
    const alive = await plug(first.networks, {
      containerId: newContainerId(),
      name: "alive",
      network: "bridge",
    });
    const dead = await plug(first.networks, {
      containerId: newContainerId(),
      name: "dead",
      network: "bridge",
      ports,
    });
    // As after kill -9: nothing is closed in order; the monitor of `dead` was killed as well.
    await first.networks.close();
    first.db.close();
    const second = await openNetworks("abcdef", path);
    await second.networks.reconcile(new Set([alive.attachment.endpoint.containerId]));
    expect(second.networks.endpoint(alive.attachment.endpoint.containerId)).toEqual(
      alive.attachment.endpoint,
    );
    expect(second.networks.endpoint(dead.attachment.endpoint.containerId)).toBeUndefined();
    expect(run("ip", "-o", "link").match(/gvabcdef\w+/g)).toHaveLength(1);
    expect(run("nft", "list", "table", "ip", "gantry-abcdef")).not.toContain("8383");
    expect(await alive.ask("tcp", outsideAddress, "7000")).toBe(`tcp outside saw ${hostAddress}`);
    // A bridge that somebody deleted is made again when it is needed.
    run("ip", "link", "del", "gabcdef0");
    const again = await plug(second.networks, {
      containerId: newContainerId(),
      name: "again",
      network: "bridge",
    });
    expect(await again.ask("tcp", outsideAddress, "7000")).toBe(`tcp outside saw ${hostAddress}`);
    await alive.end();
    await dead.end();
    await again.end();
    await second.networks.deleteAll();
    second.db.close();
  }, 60_000);

  test("after all, nothing is left", async () => {
    for (const container of [web, client, stranger]) {
      await container.end();
      container.teardown();
    }
    expect(run("nft", "list", "map", "ip", "gantry", "port_of_any")).not.toContain("8080");
    // The kernel deletes namespaces, and cables with them, a moment after their last process has gone.
    for (let i = 0; i < 250 && run("ip", "-o", "link").includes(": gv"); i++) await Bun.sleep(20);
    expect(run("ip", "-o", "link")).not.toContain(": gv");
    for (const container of [web, client, stranger])
      networks.release(container.attachment.endpoint.containerId);
    expect(await networks.prune()).toEqual(["back"]);
    await networks.deleteAll();
    expect(kernelState()).toBe(before);
    expect(logged.filter((line) => line.includes('"warn"') || line.includes('"error"'))).toEqual([]);
  });

  test("sockets that held ports are closed with their container", () => {
    const { fd } = sys.bindPort("tcp", "0.0.0.0", 8080);
    sys.close(fd);
  });
});

/** The world knows example.org and nothing else. */
function worldAnswer(query: Uint8Array): Uint8Array {
  const known = Buffer.from(query).toString("latin1").includes("\x07example\x03org\x00");
  const head = Uint8Array.from(query);
  head[2] = 0x81;
  head[3] = known ? 0x80 : 0x83;
  head[7] = known ? 1 : 0;
  const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7];
  return known ? Buffer.concat([head, Uint8Array.from(record)]) : head;
}
