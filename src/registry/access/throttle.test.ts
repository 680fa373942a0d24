import { expect, test } from "bun:test";
import { RegistryError } from "../errors.ts";
import { LoginThrottle, network } from "./throttle.ts";

const refusal = (work: () => void): RegistryError | undefined => {
  try {
    work();
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
  return undefined;
};

test("a name from an address waits longer after each failure; others do not", () => {
  let now = 1000;
  const throttle = new LoginThrottle(() => now);
  for (let i = 0; i < 8; i++) {
    expect(refusal(() => throttle.check("alice", "10.0.0.1"))).toBeUndefined();
    throttle.failed("alice", "10.0.0.1");
  }
  const first = refusal(() => throttle.check("alice", "10.0.0.1"));
  expect(first?.status).toBe(429);
  expect(first?.headers).toEqual({ "Retry-After": "1" });
  expect(refusal(() => throttle.check("bob", "10.0.0.1"))).toBeUndefined();
  expect(refusal(() => throttle.check("alice", "10.0.0.2"))).toBeUndefined();
  now += 1000;
  expect(refusal(() => throttle.check("alice", "10.0.0.1"))).toBeUndefined();
  throttle.failed("alice", "10.0.0.1");
  expect(refusal(() => throttle.check("alice", "10.0.0.1"))?.headers["Retry-After"]).toBe("2");
  for (let i = 0; i < 40; i++) throttle.failed("alice", "10.0.0.1");
  expect(refusal(() => throttle.check("alice", "10.0.0.1"))?.headers["Retry-After"]).toBe("300");
  throttle.succeeded("alice", "10.0.0.1");
  expect(refusal(() => throttle.check("alice", "10.0.0.1"))).toBeUndefined();
});

test("an address that tries many names waits, too", () => {
  const throttle = new LoginThrottle(() => 0);
  for (let i = 0; i < 60; i++) throttle.failed(`user${i}`, "2001:db8:1:2::1");
  expect(refusal(() => throttle.check("fresh", "2001:db8:1:2:ffff::9"))?.status).toBe(429);
  expect(refusal(() => throttle.check("fresh", "2001:db8:1:3::1"))).toBeUndefined();
});

test.each([
  ["10.1.2.3", "10.1.2.3"],
  ["::ffff:10.1.2.3", "10.1.2.3"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:0db8::1", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
])("network of %s", (address, wanted) => {
  expect(network(address)).toBe(wanted);
});
