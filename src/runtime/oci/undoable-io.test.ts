import { expect, test } from "bun:test";
import type { CgroupIo } from "../cgroup-io.ts";
import { undoIfFailed } from "./undoable-io.ts";

function machine(files: Record<string, string>): { io: CgroupIo; files: Record<string, string> } {
  const nothing = (): never => {
    throw new Error("not expected");
  };
  const io: CgroupIo = {
    read: (path) => files[path],
    write(path, text) {
      if (text === "bad") throw new Error(`write ${path}: EINVAL`);
      files[path] = `${text}\n`;
    },
    list: nothing,
    mkdir: nothing,
    rmdir: nothing,
    kill: nothing,
    sleep: nothing,
  };
  return { io, files };
}

test("what works stays", () => {
  const { io, files } = machine({ a: "1\n", b: "2\n" });
  const answer = undoIfFailed(io, (inner) => {
    inner.write("a", "10");
    return 5;
  });
  expect(answer).toBe(5);
  expect(files).toEqual({ a: "10\n", b: "2\n" });
});

test("what fails is taken back, each file to what it was at first", () => {
  const { io, files } = machine({ a: "1\n", b: "2\n" });
  expect(() =>
    undoIfFailed(io, (inner) => {
      inner.write("a", "10");
      inner.write("b", "20");
      inner.write("a", "11");
      inner.write("b", "bad");
    }),
  ).toThrow("write b: EINVAL");
  expect(files).toEqual({ a: "1\n", b: "2\n" });
});
