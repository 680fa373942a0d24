import { expect, test } from "bun:test";
import { parseAddRuntime, Runtimes } from "./runtimes.ts";

test("our own runtime needs no program, an added one must be there", () => {
  const runtimes = new Runtimes({ shell: "/bin/sh", gone: "/nowhere/runc" });
  for (const name of ["", "gantry", "io.containerd.runc.v2"])
    expect(runtimes.programOf(name)).toBeUndefined();
  expect(runtimes.programOf("shell")).toBe("/bin/sh");
  expect(() => runtimes.programOf("gone")).toThrow("the runtime gone cannot be run: /nowhere/runc");
  expect(() => runtimes.programOf("nosuch")).toThrow("unknown or invalid runtime name: nosuch");
  expect(runtimes.list()).toMatchObject({ gantry: { path: "gantry-init" }, shell: { path: "/bin/sh" } });
});

test("--add-runtime", () => {
  expect(parseAddRuntime("x=/usr/bin/crun")).toEqual(["x", "/usr/bin/crun"]);
  for (const bad of ["x", "=/a", "x=", "x=relative", "a b=/x", "gantry=/bin/sh"])
    expect(() => parseAddRuntime(bad)).toThrow();
});
