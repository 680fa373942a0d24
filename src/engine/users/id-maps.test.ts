import { expect, test } from "bun:test";
import { hostId, type HostAccounts, remapOf, rootOf } from "./id-maps.ts";

const host: HostAccounts = {
  passwd: "root:x:0:0::/root:\ndockremap:x:990:990::/:\nann:x:1000:1000::/home/ann:\nbob:x:1001:1001::/:",
  group: "dockremap:x:990:\nstaff:x:50:",
  subuid: "ann:100000:1000\nann:300000:500\n990:200000:65536\n# c:1:1\n",
  subgid: "ann:100000:1000\ndockremap:200000:65536\nstaff:500000:10\n",
};
const range = (containerID: number, hostID: number, size: number) => ({ containerID, hostID, size });

test.each([
  ["", undefined, undefined],
  ["root", undefined, undefined],
  ["0", undefined, undefined],
  ["default", [range(0, 200_000, 65_536)], [range(0, 200_000, 65_536)]],
  ["ann", [range(0, 100_000, 1000), range(1000, 300_000, 500)], [range(0, 100_000, 1000)]],
  [
    "1000:50",
    [range(0, 100_000, 1000), range(1000, 300_000, 500)],
    [range(0, 100_000, 1000), range(1000, 500_000, 10)],
  ],
])("%p", (spec, uids, gids) => {
  const maps = remapOf(spec, host);
  expect([maps?.uids, maps?.gids]).toEqual([uids, gids]);
});

test.each([
  ["nobody-here", "the user of --userns-remap is not there: nobody-here"],
  ["ann:nogroup", "the group of --userns-remap is not there: nogroup"],
  ["bob", 'no subuid ranges found for user "bob"'],
  ["a:b:c", "invalid user/group specification"],
])("refuses %s", (spec, message) => expect(() => remapOf(spec, host)).toThrow(message));

test("ids of the container are others on the host", () => {
  const maps = remapOf("ann", host);
  expect(rootOf(maps)).toEqual({ uid: 100_000, gid: 100_000 });
  expect(rootOf(undefined)).toEqual({ uid: 0, gid: 0 });
  expect([hostId(maps?.uids ?? [], 1001), hostId(maps?.uids ?? [], 9999)]).toEqual([300_001, 9999]);
});
