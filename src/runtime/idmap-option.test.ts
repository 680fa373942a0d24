import { expect, test } from "bun:test";
import { parseIdmapOption } from "./idmap-option.ts";

const own = {
  uids: [
    { containerID: 0, hostID: 0, size: 1 },
    { containerID: 1, hostID: 2, size: 1000 },
  ],
  gids: [
    { containerID: 0, hostID: 100, size: 5 },
    { containerID: 5, hostID: 900, size: 5 },
  ],
};
const map = (containerID: number, hostID: number, size: number) => ({ containerID, hostID, size });

test.each([
  ["uids=0-1-10#10-11-10;gids=0-100-10", { uids: [map(0, 1, 10), map(10, 11, 10)], gids: [map(0, 100, 10)] }],
  ["gids=0-100-10", { gids: [map(0, 100, 10)] }],
  // The example of crun(1).
  ["uids=@1-3-10", { uids: [map(1, 4, 10)] }],
  ["gids=@0-3-4", { gids: [map(0, 103, 2), map(2, 900, 2)] }],
])("%s", (text, maps) => expect(parseIdmapOption(text, own)).toEqual(maps));

test.each([
  ["", "neither"],
  ["users=0-0-1", "neither"],
  ["uids=", "triplet"],
  ["uids=0-1", "triplet"],
  ["uids=0-1-0", "triplet"],
  ["uids=0-1-1#", "triplet"],
  ["uids=0--1-1", "triplet"],
  ["uids=0-1-1;uids=0-1-1", "twice"],
  ["uids=@0-1000-2", "do not have"],
])("%s is refused", (text, words) => expect(parseIdmapOption(text, own)).toContain(words));
