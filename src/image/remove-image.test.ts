import { describe, expect, test } from "bun:test";
import { type Digest, sha256 } from "../lib/index.ts";
import { planRemoval, type RemovalView } from "./remove-image.ts";

interface World {
  readonly names?: Readonly<Record<string, readonly string[]>>;
  /** Child to parent. */
  readonly parents?: Readonly<Record<string, string>>;
  readonly users?: Readonly<Record<string, { readonly container: string; readonly running: boolean }>>;
}

const id = (name: string): Digest => sha256(name);
const short = (name: string): string => id(name).slice(7, 19);
const canonical = (name: string): string => (name.includes("/") ? name : `docker.io/library/${name}`);

function view({ names = {}, parents = {}, users = {} }: World): RemovalView {
  const find = <T>(table: Readonly<Record<string, T>>, key: Digest): T | undefined =>
    Object.entries(table).find(([name]) => id(name) === key)?.[1];
  return {
    namesOf: (key) => (find(names, key) ?? []).map(canonical),
    childrenOf: (key) =>
      Object.entries(parents)
        .filter(([, parent]) => id(parent) === key)
        .map(([child]) => id(child)),
    parentOf: (key) => {
      const parent = find(parents, key);
      return parent === undefined ? undefined : id(parent);
    },
    usedBy: (key) => find(users, key),
  };
}

/** What `docker rmi` prints, or its error. */
function remove(world: World, image: string, reference: string, flags = ""): string[] | string {
  try {
    const request = { id: id(image), reference, force: flags.includes("f"), noPrune: flags.includes("p") };
    return planRemoval(view(world), request).items.map((item) =>
      "untagged" in item
        ? `Untagged: ${item.untagged}`
        : `Deleted: ${Object.entries({ a: id("a"), b: id("b"), c: id("c") }).find(([, d]) => d === item.deleted)?.[0]}`,
    );
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const digestName = `x@sha256:${"d".repeat(64)}`;
const stopped = { container: "c0ffee".repeat(10), running: false };
const running = { container: "f00d".repeat(16), running: true };

describe("by name", () => {
  test.each<[string, World, string, string[] | string]>([
    ["the only name", { names: { a: ["x:latest"] } }, "", ["Untagged: x:latest", "Deleted: a"]],
    ["one of two names", { names: { a: ["x:latest", "y:1"] } }, "", ["Untagged: x:latest"]],
    [
      "a digest goes with the last tag",
      { names: { a: ["x:latest", digestName] } },
      "",
      ["Untagged: x:latest", `Untagged: ${digestName}`, "Deleted: a"],
    ],
    [
      "another repository's digest stays",
      { names: { a: ["x:latest", digestName.replace("x@", "y@")] } },
      "",
      ["Untagged: x:latest"],
    ],
    [
      "a stopped container uses it",
      { names: { a: ["x:latest"] }, users: { a: stopped } },
      "",
      `conflict: unable to remove repository reference "x" (must force) - container c0ffeec0ffee is using its referenced image ${short("a")}`,
    ],
    [
      "by force, though a stopped container uses it",
      { names: { a: ["x:latest"] }, users: { a: stopped } },
      "f",
      ["Untagged: x:latest", "Deleted: a"],
    ],
    [
      "by force, though a running container uses it: only the name",
      { names: { a: ["x:latest"] }, users: { a: running } },
      "f",
      ["Untagged: x:latest"],
    ],
    [
      "one of two names of a used image",
      { names: { a: ["x:latest", "y:1"] }, users: { a: running } },
      "",
      ["Untagged: x:latest"],
    ],
    [
      "an image with children: only the name",
      { names: { a: ["x:latest"] }, parents: { b: "a" } },
      "",
      ["Untagged: x:latest"],
    ],
    [
      "untagged parents go too",
      { names: { a: ["x:latest"] }, parents: { a: "b", b: "c" } },
      "",
      ["Untagged: x:latest", "Deleted: a", "Deleted: b", "Deleted: c"],
    ],
    [
      "but not with --no-prune",
      { names: { a: ["x:latest"] }, parents: { a: "b" } },
      "p",
      ["Untagged: x:latest", "Deleted: a"],
    ],
    [
      "nor tagged ones",
      { names: { a: ["x:latest"], b: ["y:1"] }, parents: { a: "b" } },
      "",
      ["Untagged: x:latest", "Deleted: a"],
    ],
    [
      "nor those of a container",
      { names: { a: ["x:latest"] }, parents: { a: "b" }, users: { b: stopped } },
      "",
      ["Untagged: x:latest", "Deleted: a"],
    ],
    [
      "nor those with other children",
      { names: { a: ["x:latest"] }, parents: { a: "b", c: "b" } },
      "",
      ["Untagged: x:latest", "Deleted: a"],
    ],
  ])("%s", (_, world, flags, want) => expect(remove(world, "a", "x", flags)).toEqual(want));
});

describe("by id", () => {
  test.each<[string, World, string, string[] | string]>([
    ["without name", {}, "", ["Deleted: a"]],
    ["with one name", { names: { a: ["x:latest"] } }, "", ["Untagged: x:latest", "Deleted: a"]],
    [
      "with two names",
      { names: { a: ["x:latest", "y:1"] } },
      "",
      `conflict: unable to delete ${short("a")} (must be forced) - image is referenced in multiple repositories`,
    ],
    [
      "with two names by force",
      { names: { a: ["x:latest", "y:1"] } },
      "f",
      ["Untagged: x:latest", "Untagged: y:1", "Deleted: a"],
    ],
    [
      "a running container uses it, even by force",
      { names: { a: ["x:latest"] }, users: { a: running } },
      "f",
      `conflict: unable to delete ${short("a")} (cannot be forced) - image is being used by running container f00df00df00d`,
    ],
    [
      "a stopped container uses it",
      { names: { a: ["x:latest"] }, users: { a: stopped } },
      "",
      `conflict: unable to delete ${short("a")} (must be forced) - image is being used by stopped container c0ffeec0ffee`,
    ],
    [
      "children, even by force",
      { names: { a: ["x:latest"] }, parents: { b: "a" } },
      "f",
      `conflict: unable to delete ${short("a")} (cannot be forced) - image has dependent child images`,
    ],
  ])("%s", (_, world, flags, want) => {
    for (const reference of [id("a"), id("a").slice(7), short("a")]) {
      expect(remove(world, "a", reference, flags)).toEqual(want);
    }
  });
});
