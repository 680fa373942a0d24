import { expect, test } from "bun:test";
import { route } from "../kernel/index.ts";
import type { OciNamespace } from "./oci-types.ts";
import { planLoopback } from "./plan-loopback.ts";

const planned = (namespaces: readonly OciNamespace[]) =>
  planLoopback({ ociVersion: "1.3.0", linux: { namespaces } }).container;

test("a new network namespace gets its loopback switched on", () => {
  expect(planned([{ type: "network" }])).toMatchObject([
    { do: "netlink", protocol: 0, messages: [{ message: route.linkUp(1) }] },
  ]);
});

test("the host's, and one that is joined, are left alone", () => {
  expect(planned([])).toEqual([]);
  expect(planned([{ type: "network", path: "/n" }])).toEqual([]);
});
