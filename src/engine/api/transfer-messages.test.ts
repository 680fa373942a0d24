import { expect, test } from "bun:test";
import type { PullEvent } from "../../image/index.ts";
import { sha256 } from "../../lib/index.ts";
import { PullMessages, PushMessages } from "./transfer-messages.ts";

const layers = ["a", "b", "c", "d", "e"].map(sha256);
const id = (i: number): string => (layers[i] ?? "").slice(7, 19);
const at = (i: number) => layers[i] ?? sha256("");

function pulled(events: readonly PullEvent[], isNew = true): readonly string[] {
  const lines: string[] = [];
  const teller = new PullMessages(({ id: layer, status }) => lines.push(`${layer}: ${status}`));
  for (const event of events) teller.tell(event);
  if (isNew) teller.tellHere();
  return lines;
}

test("a layer is pulled in docker's words, and told to be verified when it is", () => {
  const of = (status: PullEvent["status"]): PullEvent => ({ layer: at(0), status });
  const words = [of("waiting"), of("waiting"), of("downloaded"), of("extracting"), of("complete")];
  expect(pulled(words)).toEqual(
    ["Pulling fs layer", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"].map(
      (status) => `${id(0)}: ${status}`,
    ),
  );
  expect(pulled([of("verifying"), of("downloaded")])).toEqual([
    `${id(0)}: Verifying Checksum`,
    `${id(0)}: Download complete`,
  ]);
});

test("the fourth layer and those behind it wait", () => {
  const lines = pulled(layers.map((layer) => ({ layer, status: "waiting" })));
  expect(lines.filter((line) => line.endsWith("Waiting"))).toEqual([
    `${id(3)}: Waiting`,
    `${id(4)}: Waiting`,
  ]);
});

test("layers that are here are told beside new ones, and not when all of the image is here", () => {
  const here: PullEvent = { layer: at(0), status: "exists" };
  expect(pulled([here], false)).toEqual([]);
  expect(pulled([here])).toEqual([`${id(0)}: Already exists`]);
  expect(pulled([here, { layer: at(1), status: "waiting" }], false)).toEqual([
    `${id(0)}: Already exists`,
    `${id(1)}: Pulling fs layer`,
  ]);
});

test("steps of progress are spared, the last one is not", () => {
  const messages: unknown[] = [];
  const teller = new PullMessages((message) => messages.push(message));
  for (const current of [1, 2, 3, 2_000_000])
    teller.tell({ layer: at(0), status: "downloading", current, total: 2_000_000 });
  expect(messages).toEqual([
    {
      id: id(0),
      status: "Downloading",
      progressDetail: { current: 1, total: 2_000_000 },
      progress: `[>${" ".repeat(49)}]       1B/2MB`,
    },
    {
      id: id(0),
      status: "Downloading",
      progressDetail: { current: 2_000_000, total: 2_000_000 },
      progress: `[${"=".repeat(50)}]      2MB/2MB`,
    },
  ]);
});

test("a push tells of layers by their diff ids, the top first, and of nothing else", () => {
  const diffIds = ["1", "2", "1"].map(sha256);
  const short = (i: number): string => (diffIds[i] ?? "").slice(7, 19);
  const lines: string[] = [];
  const teller = new PushMessages(({ id: layer, status }) => lines.push(`${layer}: ${status}`), diffIds);
  teller.know([at(0), at(1), at(0)]);
  const blob = (i: number) => ({ mediaType: "x", digest: at(i), size: 10 });
  teller.tell({ blob: blob(0), status: "waiting" });
  teller.tell({ blob: blob(0), status: "mounted", from: "library/other" });
  teller.tell({ blob: blob(1), status: "copying", current: 10 });
  teller.tell({ blob: blob(1), status: "done" });
  teller.tell({ blob: blob(2), status: "done" });
  expect(lines).toEqual([
    `${short(1)}: Preparing`,
    `${short(0)}: Preparing`,
    `${short(0)}: Mounted from library/other`,
    `${short(1)}: Pushing`,
    `${short(1)}: Pushed`,
  ]);
});
