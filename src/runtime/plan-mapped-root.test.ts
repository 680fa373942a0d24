import { expect, test } from "bun:test";
import { cloneFlags } from "../kernel/index.ts";
import type { OciConfig } from "./oci-types.ts";
import { planContainer } from "./plan-container.ts";
import { sampleConfig, v2Layout } from "./sample.test-data.ts";

const range = { containerID: 0, hostID: 5000, size: 2000 };
const overlay = {
  target: "/run/g/rootfs",
  lowers: ["/l/a", "/l/b"],
  upper: "/c/upper",
  work: "/c/work",
  options: "",
  mapped: { writable: "/c", at: "/run/g/mapped" },
};

function plan(user: { readonly path?: string } = {}) {
  const config: OciConfig = {
    ...sampleConfig,
    root: { path: overlay.target },
    linux: {
      namespaces: [{ type: "mount" }, { type: "pid" }, { type: "network" }, { type: "user", ...user }],
      uidMappings: [range],
      gidMappings: [range],
      cgroupsPath: "/x",
    },
  };
  return planContainer({ config, overlay, cgroups: v2Layout }).plan;
}

test("layers are given the container's ids by the monitor, the writable one an id for the host's root, too", () => {
  const sources = plan()
    .monitor.filter((step) => step.do === "open-source")
    .slice(0, 3);
  expect(sources).toMatchObject([
    { path: "/l/a", inside: "/l/a", uids: "0 5000 2000\n" },
    { path: "/l/b", inside: "/l/b", gids: "0 5000 2000\n" },
    { path: "/c", inside: "/run/g/mapped", uids: "0 5000 2000\n2000 0 1\n" },
  ]);
  expect(plan().monitor).toContainEqual(
    expect.objectContaining({ do: "clone", flags: cloneFlags.CLONE_NEWNS }),
  );
});

test("the overlay is made with the host's rights, then all other namespaces below the user namespace", () => {
  const steps = plan().container;
  const order = ["bind", "overlay", "user-namespace", "unshare", "namespaces-ready", "pivot-root"];
  const at = order.map((name) => steps.findIndex((step) => step.do === name));
  expect(at).toEqual(at.toSorted((a, b) => a - b));
  expect(at).not.toContain(-1);
  expect(steps[at[1] ?? -1]).toMatchObject({
    upper: "/run/g/mapped/upper",
    work: "/run/g/mapped/work",
    lowers: overlay.lowers,
  });
  expect(steps[at[3] ?? -1]).toMatchObject({
    flags: cloneFlags.CLONE_NEWNS | cloneFlags.CLONE_NEWPID | cloneFlags.CLONE_NEWNET,
  });
  // pivot_root refuses the locked overlay: a mount of it that is not locked stands above.
  const last = steps.findLastIndex((step) => step.do === "root");
  expect(steps[last - 1]).toMatchObject({ do: "bind", source: overlay.target, inside: overlay.target });
});

test("another container's user namespace is joined after the overlay is made", () => {
  const steps = plan({ path: "/proc/7/ns/user" }).container.map((step) => step.do);
  expect(steps.indexOf("overlay")).toBeLessThan(steps.indexOf("join-paths"));
  expect(steps).toContain("unshare");
});
