import { expect, test } from "bun:test";
import type { OciConfig, OciMount, OciNamespace } from "./oci-types.ts";
import { becauseOf, type Rootless } from "./plan-input.ts";
import { planSources } from "./plan-sources.ts";

const maps = {
  uidMappings: [{ containerID: 0, hostID: 5, size: 10 }],
  gidMappings: [{ containerID: 0, hostID: 6, size: 10 }],
};
const user: readonly OciNamespace[] = [{ type: "mount" }, { type: "user" }];
const bind = (options: readonly string[], more: Partial<OciMount> = {}): OciMount => ({
  destination: "/data",
  source: "/srv",
  type: "bind",
  options,
  ...more,
});

function planned(
  mounts: readonly OciMount[],
  namespaces: readonly OciNamespace[],
  rootless?: Rootless,
): readonly object[] {
  const config: OciConfig = {
    ociVersion: "1.3.0",
    root: { path: "/r" },
    mounts,
    linux: { namespaces, ...maps },
  };
  const who = rootless === undefined ? {} : { rootless };
  return planSources({ config, hasPlainRoot: true, because: becauseOf(), ...who }).map((step) =>
    Object.fromEntries(Object.entries(step).filter(([field]) => field !== "because" && field !== "do")),
  );
}

const root = { inside: "", path: "/r", recursive: true, uids: "", gids: "" };
const data = { inside: "/data", path: "/srv", recursive: false, uids: "", gids: "" };

test("without a user namespace the child opens what it binds", () => {
  expect(planned([bind(["bind"])], [{ type: "mount" }])).toEqual([]);
});

test("in one the root and every source of a bind are opened before, symlinks to copy excepted", () => {
  const mounts = [
    bind(["rbind", "ro"]),
    bind(["bind"]),
    bind(["bind", "rro"]),
    bind(["bind", "src-nofollow"]),
  ];
  const others = [
    bind(["bind", "copy-symlink"]),
    bind(["bind", "remount"]),
    { destination: "/t", type: "tmpfs" },
  ];
  expect(planned([...mounts, ...others], user)).toEqual([
    root,
    { ...data, recursive: true },
    data,
    { ...data, recursive: true },
    { ...data, sourceLink: true },
  ]);
});

test("an ordinary user, or a mount namespace that is joined, gains nothing by it", () => {
  expect(planned([bind(["bind"])], user, { uid: 1, gid: 1 })).toEqual([]);
  expect(planned([bind(["bind"])], [{ type: "mount", path: "/m" }, { type: "user" }])).toEqual([]);
});

const own = {
  uidMappings: [{ containerID: 1, hostID: 2, size: 3 }],
  gidMappings: [{ containerID: 4, hostID: 5, size: 6 }],
};

test.each([
  ["idmap: the container's maps", bind(["bind", "idmap"]), { uids: "0 5 10\n", gids: "0 6 10\n" }],
  [
    "ridmap: of all below",
    bind(["rbind", "ridmap"]),
    { uids: "0 5 10\n", gids: "0 6 10\n", recursive: true, mapsBelow: true },
  ],
  ["maps of its own", bind(["bind", "idmap"], own), { uids: "1 2 3\n", gids: "4 5 6\n" }],
  [
    "maps of its own without a word in the options",
    bind(["bind"], own),
    { uids: "1 2 3\n", gids: "4 5 6\n" },
  ],
  ["crun's words", bind(["bind", "idmap=uids=0-7-3;gids=@0-1-2"]), { uids: "0 7 3\n", gids: "0 7 2\n" }],
])("%s", (_, mount, more) => expect(planned([mount], [{ type: "mount" }])).toEqual([{ ...data, ...more }]));

test("idmap of what lies in the root: mapped once it is there, unless that takes the host's rights", () => {
  const within = bind(["bind", "idmap"], { source: "/r/x" });
  const maps = { ...data, path: "/r/x", uids: "0 5 10\n", gids: "0 6 10\n" };
  expect(planned([within], [{ type: "mount" }])).toEqual([{ ...maps, mapsLater: true }]);
  expect(planned([within], user)).toEqual([root, maps]);
});

test("idmap in a user namespace that is joined: its maps, by its path", () => {
  const path = "/proc/7/ns/user";
  expect(planned([bind(["bind", "idmap"])], [{ type: "mount" }, { type: "user", path }])).toEqual([
    root,
    { ...data, uids: path, gids: path },
  ]);
});

test.each([
  ["an ordinary user's", bind(["bind", "idmap"]), { uid: 1, gid: 1 }, "need root"],
  ["another than a bind mount", bind(["idmap"], { type: "tmpfs" }), undefined, "only bind mounts"],
  ["crun's words with an error", bind(["bind", "idmap=uids=0-7"]), undefined, "triplet"],
  ["maps of users alone", bind(["bind"], { uidMappings: own.uidMappings }), undefined, "without mappings"],
])("refused: %s", (_, mount, rootless, words) => {
  expect(() => planned([mount], user, rootless)).toThrow(words);
  expect(() => planned([mount], user, rootless)).toThrow("/data");
});
