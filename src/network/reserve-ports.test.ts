import { expect, test } from "bun:test";
import { GantryError } from "../lib/index.ts";
import { type PortBinder, reservePorts } from "./reserve-ports.ts";
import type { PortRequest, PublishedPort } from "./types.ts";

/** Binds what `busy` does not name; 0 becomes 49152. */
class FakeBinder implements PortBinder {
  readonly open = new Set<number>();
  readonly #busy: ReadonlySet<string>;
  #next = 10;

  constructor(busy: readonly string[]) {
    this.#busy = new Set(busy);
  }

  bindPort(protocol: "tcp" | "udp", address: string, port: number): { fd: number; port: number } {
    const code = this.#busy.has(`${address}:${port}/${protocol}`)
      ? "EADDRINUSE"
      : address === "198.51.100.1"
        ? "EADDRNOTAVAIL"
        : "";
    if (code !== "") throw Object.assign(new Error(code), { code });
    const fd = this.#next++;
    this.open.add(fd);
    return { fd, port: port === 0 ? 49_152 : port };
  }

  close(fd: number): void {
    this.open.delete(fd);
  }
}

const port = (hostPort: number, over: Partial<PortRequest> = {}): PortRequest => ({
  protocol: "tcp",
  containerPort: 80,
  hostIp: "",
  hostPort,
  ...over,
});
const taken: readonly PublishedPort[] = [
  { hostIp: "0.0.0.0", hostPort: 8080, containerPort: 80, protocol: "tcp" },
  { hostIp: "127.0.0.1", hostPort: 9090, containerPort: 80, protocol: "tcp" },
];
const reserve = (sys: PortBinder, wanted: readonly PortRequest[]) =>
  reservePorts(sys, { containerId: "c1", name: "web", ip: "10.88.0.2", wanted, taken });
const before = "driver failed programming external connectivity on endpoint web (c1): ";

test.each([
  ["free", [port(80)], ["0.0.0.0:80"]],
  ["the kernel's choice", [port(0)], ["0.0.0.0:49152"]],
  ["other protocol", [port(8080, { protocol: "udp" })], ["0.0.0.0:8080"]],
  ["other address", [port(9090, { hostIp: "192.0.2.1" })], ["192.0.2.1:9090"]],
  ["first free of a range", [port(8080, { hostPortEnd: 8083 })], ["0.0.0.0:8083"]],
  [
    "a range for several",
    [port(8080, { hostPortEnd: 8090 }), port(8080, { hostPortEnd: 8090, containerPort: 81 })],
    ["0.0.0.0:8083", "0.0.0.0:8084"],
  ],
] as const)("%s", (_name, wanted, want) => {
  const sys = new FakeBinder(["0.0.0.0:8081/tcp", "0.0.0.0:8082/tcp"]);
  const { ports, fds } = reserve(sys, wanted);
  expect(ports.map((item) => `${item.hostIp}:${item.hostPort}`)).toEqual([...want]);
  expect([...sys.open]).toEqual([...fds]);
});

test.each([
  [[port(8080)], `conflict: ${before}Bind for 0.0.0.0:8080 failed: port is already allocated`],
  [
    [port(8080, { hostIp: "127.0.0.1" })],
    `conflict: ${before}Bind for 127.0.0.1:8080 failed: port is already allocated`,
  ],
  [[port(9090)], `conflict: ${before}Bind for 0.0.0.0:9090 failed: port is already allocated`],
  [[port(7000), port(7000)], `conflict: ${before}Bind for 0.0.0.0:7000 failed: port is already allocated`],
  [
    [port(8081)],
    `conflict: ${before}failed to bind host port for 0.0.0.0:8081:10.88.0.2:80/tcp: address already in use`,
  ],
  [
    [port(8080, { hostPortEnd: 8081 })],
    `conflict: ${before}failed to bind host port for 0.0.0.0:8081:10.88.0.2:80/tcp: address already in use`,
  ],
  [
    [port(81, { hostIp: "198.51.100.1" })],
    `invalid: ${before}failed to bind host port for 198.51.100.1:81:10.88.0.2:80/tcp: cannot assign requested address`,
  ],
  [
    [port(81, { hostIp: "::1" })],
    "unsupported: port published on ::1: only IPv4 addresses of the host can be published",
  ],
  [[port(81, { hostIp: "localhost" })], 'invalid: invalid IP address to publish a port on: "localhost"'],
  [[port(65_536)], "invalid: invalid port number: 65536"],
  [[port(80, { containerPort: 0 })], "invalid: invalid port number: 0"],
] as const)("refused, and nothing stays bound: %p", (wanted, want) => {
  const sys = new FakeBinder(["0.0.0.0:8081/tcp"]);
  let got = "";
  try {
    // The first is free: it must be given back.
    reserve(sys, [port(6000), ...wanted]);
  } catch (error) {
    if (error instanceof GantryError) got = `${error.code}: ${error.message}`;
  }
  expect(got).toBe(want);
  expect(sys.open.size).toBe(0);
});
