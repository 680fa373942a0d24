/**
 * nf_tables on the real kernel, in network namespaces of its own. Oracles: what nft(8) prints of a table that we made, and
 * connections that go through it. Needs root and the packages nftables and iproute2.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { loadSys, Netlink, NETLINK_NETFILTER, NETLINK_ROUTE, nft, route } from "../../src/kernel/index.ts";

const { selector, value, key } = nft;
const table = "gantrytest";
const ports = { table, name: "ports" };
const anyports = { table, name: "anyports" };
const bridges = { table, name: "bridges" };
const hairpin = { table, name: "hairpin" };

/** The rule set of the network room, in miniature. */
function ruleset(): Uint8Array {
  const accept = (
    hook: "prerouting" | "output" | "postrouting" | "forward" | "input",
    type: "nat" | "filter",
    priority: number,
  ) => nft.addChain(table, hook, { type, hook, priority, policy: "accept" });
  const dnat = (chain: string): Uint8Array[] => [
    nft.addRule({ table, chain }, [
      nft.dnatFromMap([selector.ipDaddr, selector.l4proto, selector.thDport], "ports"),
    ]),
    nft.addRule({ table, chain }, [
      nft.match(selector.fibDaddrType, "==", nft.fibAddressType.local),
      nft.dnatFromMap([selector.l4proto, selector.thDport], "anyports"),
    ]),
  ];
  return nft.batch([
    nft.addTable(table),
    nft.deleteTable(table),
    nft.addTable(table),
    nft.addMap(ports, ["ipv4_addr", "inet_proto", "inet_service"], ["ipv4_addr", "inet_service"]),
    nft.addMap(anyports, ["inet_proto", "inet_service"], ["ipv4_addr", "inet_service"]),
    nft.addSet(bridges, ["ifname"]),
    nft.addSet(hairpin, ["ipv4_addr", "ipv4_addr"]),
    nft.addMap({ table, name: "policy" }, ["ifname"], "verdict"),
    nft.addChain(table, "isolate"),
    accept("prerouting", "nat", -100),
    accept("output", "nat", -100),
    accept("postrouting", "nat", 100),
    accept("forward", "filter", 0),
    accept("input", "filter", 0),
    ...dnat("prerouting"),
    ...dnat("output"),
    nft.addRule({ table, chain: "postrouting", comment: "outbound" }, [
      nft.matchSubnet(selector.ipSaddr, "==", { address: "10.9.0.0", prefixLength: 16 }),
      nft.match(selector.oifname, "!=", value.interfaceName("br0")),
      nft.counter(),
      nft.masquerade(),
    ]),
    nft.addRule({ table, chain: "postrouting" }, [
      nft.inSet([selector.ipSaddr, selector.ipDaddr], "hairpin"),
      nft.masquerade(),
    ]),
    nft.addRule({ table, chain: "postrouting" }, [
      nft.matchSubnet(selector.ipSaddr, "==", { address: "127.0.0.0", prefixLength: 8 }),
      nft.inSet([selector.oifname], "bridges"),
      nft.masquerade(),
    ]),
    nft.addRule({ table, chain: "forward" }, [
      nft.matchAnyBit(selector.ctState, nft.ctState.established | nft.ctState.related),
      nft.verdict("accept"),
    ]),
    nft.addRule({ table, chain: "forward" }, [nft.verdictFromMap([selector.iifname], "policy")]),
    nft.addRule({ table, chain: "forward" }, [
      nft.notInSet([selector.iifname], "bridges"),
      nft.verdict("accept"),
    ]),
    nft.addRule({ table, chain: "forward" }, [
      nft.inSet([selector.iifname], "bridges"),
      nft.inSet([selector.oifname], "bridges"),
      nft.verdict({ jump: "isolate" }),
    ]),
    nft.addRule({ table, chain: "isolate" }, [
      nft.matchAnyBit(selector.ctStatus, nft.ctStatus.dnat),
      nft.verdict("return"),
    ]),
    nft.addRule({ table, chain: "isolate" }, [nft.verdict("drop")]),
    nft.addRule({ table, chain: "input" }, [
      nft.inSet([selector.iifname], "bridges"),
      nft.matchSubnet(selector.ipDaddr, "==", { address: "127.0.0.0", prefixLength: 8 }),
      // Answers to a connection from the host's 127.0.0.1 to a published port look the same, but are established.
      nft.matchAnyBit(selector.ctState, nft.ctState.new | nft.ctState.invalid),
      nft.verdict("drop"),
    ]),
    nft.addElements(bridges, [{ key: value.interfaceName("br0") }, { key: value.interfaceName("br1") }]),
    nft.addElements({ table, name: "policy" }, [
      { key: value.interfaceName("br7"), value: { jump: "isolate" } },
      { key: value.interfaceName("br8"), value: "drop" },
    ]),
    nft.addElements(hairpin, [{ key: key(value.ipv4("10.9.0.2"), value.ipv4("10.9.0.2")) }]),
  ]);
}

/** What nft must print; rules in the order above. */
const expected = `table ip ${table} {
	map ports {
		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
	}

	map anyports {
		type inet_proto . inet_service : ipv4_addr . inet_service
	}

	set bridges {
		type ifname
		elements = { "br0",
			     "br1" }
	}

	set hairpin {
		type ipv4_addr . ipv4_addr
		elements = { 10.9.0.2 . 10.9.0.2 }
	}

	map policy {
		type ifname : verdict
		elements = { "br7" : jump isolate, "br8" : drop }
	}

	chain isolate {
		ct status dnat return
		drop
	}

	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		dnat ip to ip daddr . meta l4proto . th dport map @ports
		fib daddr type local dnat ip to meta l4proto . th dport map @anyports
	}

	chain output {
		type nat hook output priority -100; policy accept;
		dnat ip to ip daddr . meta l4proto . th dport map @ports
		fib daddr type local dnat ip to meta l4proto . th dport map @anyports
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 10.9.0.0/16 oifname != "br0" counter packets 0 bytes 0 masquerade comment "outbound"
		ip saddr . ip daddr @hairpin masquerade
		ip saddr 127.0.0.0/8 oifname @bridges masquerade
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		ct state established,related accept
		iifname vmap @policy
		iifname != @bridges accept
		iifname @bridges oifname @bridges jump isolate
	}

	chain input {
		type filter hook input priority filter; policy accept;
		iifname @bridges ip daddr 127.0.0.0/8 ct state invalid,new drop
	}
}
`;

/** Two namespaces, "host" and "container", each kept by a sleeping process of ours. */
interface Namespace {
  readonly pid: number;
  run(...words: readonly string[]): string;
  start(...words: readonly string[]): Bun.Subprocess<"ignore", "pipe", "pipe">;
}

const started: Bun.Subprocess[] = [];

async function makeNamespace(): Promise<Namespace> {
  const keeper = Bun.spawn(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 120"], { stdout: "pipe" });
  started.push(keeper);
  for await (const _ of keeper.stdout) break;
  const enter = ["nsenter", "-t", String(keeper.pid), "-n"];
  return {
    pid: keeper.pid,
    run(...words) {
      const done = Bun.spawnSync([...enter, ...words]);
      if (done.exitCode !== 0) throw new Error(`${words.join(" ")}: ${done.stderr.toString()}`);
      return done.stdout.toString();
    },
    start(...words) {
      const child = Bun.spawn([...enter, ...words], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
      started.push(child);
      return child;
    },
  };
}

const sys = loadSys();
let host: Namespace;
let container: Namespace;
let netfilter: Netlink;

function ask(...messages: readonly Uint8Array[]): ReturnType<Netlink["request"]> {
  return netfilter.request(messages);
}

/** Joins the two namespaces as the engine does: bridge br0 10.9.0.1/16 there, eth0 10.9.0.2/16 here. */
function connect(): void {
  using there = new Netlink(sys, NETLINK_ROUTE, `/proc/${host.pid}/ns/net`);
  there.request([route.linkUp("lo"), route.createBridge("br0", "02:42:0a:09:00:01"), route.linkUp("br0")]);
  const [bridge] = route.parseLinks(there.request([route.getLink("br0")]));
  if (bridge === undefined) throw new Error("no br0");
  there.request([route.addAddress(bridge.index, "10.9.0.1", 16)]);
  const veth = route.createVethInto("gv0", "eth0", { peerIndex: 77, master: bridge.index, up: true });
  new DataView(veth.message.buffer).setUint32(veth.pidOffset, container.pid, true);
  there.request([veth.message]);
  const [port] = route.parseLinks(there.request([route.getLink("gv0")]));
  // Where br_netfilter is on, the bridge itself applies the DNAT and sends the frame back through the port it came from.
  there.request([route.setHairpin(port?.index ?? 0)]);
  using inside = new Netlink(sys, NETLINK_ROUTE, `/proc/${container.pid}/ns/net`);
  inside.request([
    route.linkUp("lo"),
    route.addAddress(77, "10.9.0.2", 16),
    route.linkUp(77),
    route.addRoute("default", "10.9.0.1", 77),
  ]);
}

beforeAll(async () => {
  host = await makeNamespace();
  container = await makeNamespace();
  netfilter = new Netlink(sys, NETLINK_NETFILTER, `/proc/${host.pid}/ns/net`);
});

afterAll(() => {
  netfilter.close();
  for (const child of started) child.kill("SIGKILL");
});

/** Some nft versions name the priority, some print its number; some break lists of elements elsewhere. */
function comparable(text: string): string {
  return text
    .replaceAll(/priority -100/g, "priority dstnat")
    .replaceAll(/\s+/g, " ")
    .trim();
}

describe("nf_tables", () => {
  test("the rule set is what nft prints", () => {
    ask(ruleset());
    expect(comparable(host.run("nft", "list", "table", "ip", table))).toBe(comparable(expected));
    expect(nft.parseTables(ask(nft.dumpTables()))).toEqual([table]);
    expect(nft.parseChains(ask(nft.dumpChains())).map((chain) => chain.name)).toEqual([
      "isolate",
      "prerouting",
      "output",
      "postrouting",
      "forward",
      "input",
    ]);
  });

  test("made again it replaces itself in one transaction", () => {
    ask(nft.batch([nft.addElements(bridges, [{ key: value.interfaceName("stale") }])]));
    ask(ruleset());
    expect(comparable(host.run("nft", "list", "table", "ip", table))).toBe(comparable(expected));
  });

  test("elements are added, dumped and deleted", () => {
    const element = {
      key: key(value.ipv4("1.2.3.4"), value.protocol("udp"), value.port(53)),
      value: key(value.ipv4("10.9.0.2"), value.port(5353)),
    };
    ask(nft.batch([nft.addElements(ports, [element])]));
    // Numeric: the name of a protocol comes from /etc/protocols, which not every machine has.
    expect(comparable(host.run("nft", "-p", "list", "map", "ip", table, "ports"))).toContain(
      "elements = { 1.2.3.4 . 17 . 53 : 10.9.0.2 . 5353 }",
    );
    const [dumped] = nft.parseElements(ask(nft.dumpSetElements(ports)));
    expect(dumped).toEqual(element);
    ask(nft.batch([nft.addElements(ports, [element], "present")]));
    expect(() => ask(nft.batch([nft.addElements(ports, [element], "exclusive")]))).toThrow("EEXIST");
    ask(nft.batch([nft.deleteElements(ports, [{ key: element.key }])]));
    expect(nft.parseElements(ask(nft.dumpSetElements(ports)))).toEqual([]);
    expect(() => ask(nft.batch([nft.deleteElements(ports, [{ key: element.key }])]))).toThrow("ENOENT");
  });

  test("3,000 elements go in and out with one call", () => {
    const many = Array.from({ length: 3000 }, (_, i) => ({
      key: key(value.protocol("tcp"), value.port(10_000 + i)),
      value: key(value.ipv4("10.9.0.2"), value.port(i)),
    }));
    ask(nft.batch([nft.addElements(anyports, many)]));
    expect(nft.parseElements(ask(nft.dumpSetElements(anyports)))).toHaveLength(3000);
    ask(
      nft.batch([
        nft.deleteElements(
          anyports,
          many.map((element) => ({ key: element.key })),
        ),
      ]),
    );
    expect(nft.parseElements(ask(nft.dumpSetElements(anyports)))).toEqual([]);
  });

  test("a batch with one wrong message changes nothing", () => {
    const wrong = nft.batch([
      nft.addElements(bridges, [{ key: value.interfaceName("half") }]),
      nft.addRule({ table, chain: "nowhere" }, [nft.verdict("drop")]),
    ]);
    expect(() => ask(wrong)).toThrow("ENOENT");
    expect(host.run("nft", "list", "set", "ip", table, "bridges")).not.toContain("half");
    ask(nft.batch([nft.addElements(bridges, [{ key: value.interfaceName("br2") }])]));
  });

  test("connections to published ports arrive in the container", async () => {
    connect();
    for (const name of ["conf/all/route_localnet", "ip_forward"])
      host.run("sh", "-c", `echo 1 >/proc/sys/net/ipv4/${name}`);
    ask(
      nft.batch([
        nft.addElements(ports, [
          {
            key: key(value.ipv4("10.9.0.1"), value.protocol("tcp"), value.port(8081)),
            value: key(value.ipv4("10.9.0.2"), value.port(80)),
          },
        ]),
        nft.addElements(anyports, [
          {
            key: key(value.protocol("tcp"), value.port(8080)),
            value: key(value.ipv4("10.9.0.2"), value.port(80)),
          },
        ]),
      ]),
    );
    container.start("busybox", "nc", "-ll", "-p", "80", "-e", "busybox", "echo", "hello");
    const read = (from: Namespace, ...words: readonly string[]): string =>
      from.run("timeout", "5", "busybox", "nc", ...words);
    for (let round = 0; round < 50 && !container.run("ss", "-ltn").includes(":80"); round++)
      await Bun.sleep(20);
    expect(read(host, "127.0.0.1", "8080")).toBe("hello\n");
    expect(read(host, "10.9.0.1", "8080")).toBe("hello\n");
    expect(read(host, "10.9.0.1", "8081")).toBe("hello\n");
    expect(() => read(host, "127.0.0.1", "8081")).toThrow("refused");
    // Hairpin: the container reaches itself through its published port.
    expect(read(container, "10.9.0.1", "8080")).toBe("hello\n");
  }, 20_000);
});
