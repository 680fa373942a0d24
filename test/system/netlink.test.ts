/** rtnetlink on the real kernel, in two network namespaces of its own; the oracle is `ip -j`. Needs root and iproute2. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { loadSys, Netlink, NETLINK_ROUTE, route } from "../../src/kernel/index.ts";

const sys = loadSys();
const keepers: Bun.Subprocess[] = [];

async function makeNamespace(): Promise<number> {
  const keeper = Bun.spawn(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 60"], { stdout: "pipe" });
  keepers.push(keeper);
  for await (const _ of keeper.stdout) break;
  return keeper.pid;
}

let hostPid = 0;
let peerPid = 0;
let host: Netlink;
let peer: Netlink;

beforeAll(async () => {
  [hostPid, peerPid] = [await makeNamespace(), await makeNamespace()];
  host = new Netlink(sys, NETLINK_ROUTE, `/proc/${hostPid}/ns/net`);
  peer = new Netlink(sys, NETLINK_ROUTE, `/proc/${peerPid}/ns/net`);
});

afterAll(() => {
  host.close();
  peer.close();
  for (const keeper of keepers) keeper.kill("SIGKILL");
});

/** Rows of `ip -j WORDS` in a namespace. */
function ip(pid: number, ...words: readonly string[]): readonly Record<string, unknown>[] {
  const done = Bun.spawnSync(["nsenter", "-t", String(pid), "-n", "ip", "-j", "-d", ...words]);
  return JSON.parse(done.stdout.toString() || "[]");
}

function indexOf(name: string): number {
  const [link] = route.parseLinks(host.request([route.getLink(name)]));
  return link?.index ?? 0;
}

describe("rtnetlink", () => {
  test("a bridge with address and routes", () => {
    host.request([route.linkUp("lo"), route.createBridge("br0", "02:42:00:00:00:01"), route.linkUp("br0")]);
    const index = indexOf("br0");
    host.request([
      route.addAddress(index, "10.99.0.1", 16),
      route.addRoute("10.98.0.0/16", "10.99.0.2", index),
      route.addRoute("10.97.0.0/24", undefined, index),
      route.setLinkMtu(index, 1400),
    ]);
    const [bridge] = ip(hostPid, "addr", "show", "br0");
    expect(bridge).toMatchObject({
      ifindex: index,
      address: "02:42:00:00:00:01",
      mtu: 1400,
      linkinfo: { info_kind: "bridge" },
      flags: expect.arrayContaining(["UP"]),
    });
    expect(bridge?.["addr_info"]).toContainEqual(
      expect.objectContaining({ local: "10.99.0.1", prefixlen: 16, broadcast: "10.99.255.255" }),
    );
    expect(ip(hostPid, "-4", "route").map(({ dst, gateway }) => [dst, gateway])).toEqual([
      ["10.97.0.0/24", undefined],
      ["10.98.0.0/16", "10.99.0.2"],
      ["10.99.0.0/16", undefined],
    ]);
  });

  test("a veth whose other end is in the other namespace, at an index chosen before", () => {
    const bridge = indexOf("br0");
    const veth = route.createVethInto("gv0", "eth0", {
      peerIndex: 77,
      mac: "02:42:0a:63:00:02",
      mtu: 1300,
      master: bridge,
      up: true,
    });
    new DataView(veth.message.buffer).setUint32(veth.pidOffset, peerPid, true);
    host.request([veth.message]);
    peer.request([
      route.addAddress(77, "10.99.0.2", 16),
      route.linkUp(77),
      route.addRoute("default", "10.99.0.1", 77),
    ]);
    expect(ip(hostPid, "link", "show", "gv0")[0]).toMatchObject({
      master: "br0",
      mtu: 1300,
      linkinfo: { info_kind: "veth" },
    });
    expect(ip(peerPid, "addr", "show", "eth0")[0]).toMatchObject({
      ifindex: 77,
      address: "02:42:0a:63:00:02",
      mtu: 1300,
    });
    expect(ip(peerPid, "-4", "route", "show", "default")[0]).toMatchObject({
      gateway: "10.99.0.1",
      dev: "eth0",
    });
    const reached = Bun.spawnSync(["nsenter", "-t", String(peerPid), "-n", "ip", "neigh"]);
    expect(reached.exitCode).toBe(0);
  });

  test("what is dumped is what ip shows", () => {
    const mine = route
      .parseLinks(host.request([route.dumpLinks()]))
      .map(({ index, name, mtu, mac }) => ({ index, name, mtu, mac }));
    const theirs = ip(hostPid, "link").map(({ ifindex, ifname, mtu, address }) => ({
      index: ifindex,
      name: ifname,
      mtu,
      mac: address,
    }));
    expect(JSON.stringify(mine)).toBe(JSON.stringify(theirs));
    expect(route.parseAddresses(host.request([route.dumpAddresses()]))).toContainEqual({
      index: indexOf("br0"),
      address: "10.99.0.1",
      prefixLength: 16,
    });
    expect(route.parseRoutes(host.request([route.dumpRoutes()]))).toContainEqual({
      destination: "10.98.0.0/16",
      via: "10.99.0.2",
      index: indexOf("br0"),
      table: 254,
    });
  });

  test("errors are sentences, and what follows is not sent", () => {
    const bad = { message: route.createBridge("br0"), description: "create bridge br0" };
    expect(() => host.request([bad, route.deleteLink("br0")])).toThrow(
      "create bridge br0: exists already (EEXIST)",
    );
    expect(indexOf("br0")).toBeGreaterThan(0);
    const wrong = {
      message: route.addRoute("10.98.0.1/16", "10.99.0.2", indexOf("br0")),
      description: "add a route",
    };
    expect(() => host.request([wrong])).toThrow("Invalid prefix for given prefix length");
    expect(() => host.request([route.getLink("absent")])).toThrow("ENODEV");
  });

  test("rename, down, leave, delete", () => {
    host.request([
      route.setMaster("gv0", 0),
      route.linkDown("gv0"),
      route.setLinkName(indexOf("gv0"), "gv1"),
    ]);
    expect(ip(hostPid, "link", "show", "gv1")[0]).not.toHaveProperty("master");
    host.request([
      route.deleteAddress(indexOf("br0"), "10.99.0.1", 16),
      route.deleteLink("gv1"),
      route.deleteLink("br0"),
    ]);
    expect(ip(hostPid, "link").map((link) => link["ifname"])).toEqual(["lo"]);
    expect(ip(peerPid, "link").map((link) => link["ifname"])).toEqual(["lo"]);
  });

  test("5,000 dumps leave no fd and no memory behind", () => {
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 5000; i++) host.request([route.dumpLinks()]);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  }, 20_000);
});
