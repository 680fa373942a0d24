import { describe, expect, test } from "bun:test";
import { parseGroup, parsePasswd } from "./account-files.ts";
import { resolveUser } from "./resolve-user.ts";

const found = {
  accounts: parsePasswd(
    "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken line\nweb:x:33:34:w:/var/www:\nneg:x:-1:0::/:\n1000:x:5:6::/odd:\n",
  ),
  groups: parseGroup("root:x:0:\nwheel:x:10:root,web\nwww:x:34:\naudio:x:29:web\nbad\n"),
};

describe("resolveUser", () => {
  test.each([
    ["", [], { uid: 0, gid: 0, groups: [0, 10], home: "/root" }],
    ["0", [], { uid: 0, gid: 0, groups: [0, 10], home: "/root" }],
    ["web", [], { uid: 33, gid: 34, groups: [34, 10, 29], home: "/var/www" }],
    ["33", [], { uid: 33, gid: 34, groups: [34, 10, 29], home: "/var/www" }],
    ["web:audio", [], { uid: 33, gid: 29, groups: [29], home: "/var/www" }],
    ["web:1234", [], { uid: 33, gid: 1234, groups: [1234], home: "/var/www" }],
    ["4711", [], { uid: 4711, gid: 0, groups: [0], home: "/" }],
    ["4711:4712", [], { uid: 4711, gid: 4712, groups: [4712], home: "/" }],
    [":audio", [], { uid: 0, gid: 29, groups: [29], home: "/root" }],
    // A name wins over a number.
    ["1000", [], { uid: 5, gid: 6, groups: [6], home: "/odd" }],
    ["web", ["audio", "77", "77"], { uid: 33, gid: 34, groups: [34, 10, 29, 77], home: "/var/www" }],
  ] as const)("%s with groups %o", (spec, groupAdd, want) => {
    expect(resolveUser(spec, groupAdd, found)).toEqual({ ...want, groups: [...want.groups] });
  });

  test.each([
    ["nobody", [], "unable to find user nobody: no matching entries in passwd file"],
    ["web:none", [], "unable to find group none: no matching entries in group file"],
    ["web", ["none"], "unable to find group none"],
    ["4294967295", [], "uids and gids must be in range"],
    ["0:2147483648", [], "uids and gids must be in range"],
    ["-1", [], "unable to find user -1"],
  ] as const)("%s with groups %o is refused", (spec, groupAdd, words) => {
    expect(() => resolveUser(spec, groupAdd, found)).toThrow(words);
  });

  test("an image without account files has root", () => {
    expect(resolveUser("", [], { accounts: [], groups: [] })).toEqual({
      uid: 0,
      gid: 0,
      groups: [0],
      home: "/",
    });
  });
});
