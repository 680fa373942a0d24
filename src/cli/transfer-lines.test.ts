import { expect, test } from "bun:test";
import { LiveLines, PlainLines } from "./transfer-lines.ts";

/** What a terminal shows of text with the few sequences that we use. */
function screen(text: string): readonly string[] {
  const rows = [""];
  let row = 0;
  // eslint-disable-next-line no-control-regex
  for (const piece of text.match(/\x1b\[\d+[ABK]|[\r\n]|[^\x1b\r\n]+/g) ?? []) {
    const move = Number(/\d+/.exec(piece)?.[0] ?? 0);
    if (piece.endsWith("A") && piece.startsWith("\x1b")) row -= move;
    else if (piece.endsWith("B") && piece.startsWith("\x1b")) row += move;
    else if (piece.startsWith("\x1b")) rows[row] = "";
    else if (piece === "\n") rows[++row] ??= "";
    else if (piece !== "\r") rows[row] = piece;
  }
  return rows;
}

const step = (id: string, current: number) => ({
  id,
  status: "Downloading",
  progressDetail: { current, total: 100 },
});

test("on a terminal each layer has a line that is written anew, and other lines stand below", () => {
  const lines = new LiveLines();
  const text = [
    { status: "Pulling from library/x", id: "latest" },
    { id: "aaa", status: "Pulling fs layer", progressDetail: {} },
    { id: "bbb", status: "Pulling fs layer", progressDetail: {} },
    step("bbb", 50),
    step("aaa", 100),
    { id: "aaa", status: "Pull complete", progressDetail: {} },
    { id: "bbb", status: "Pull complete", progressDetail: {} },
    { status: "Digest: sha256:0" },
    { id: "aaa", status: "Already exists", progressDetail: {} },
  ].map((message) => lines.show(message));
  expect(screen(text.slice(0, 5).join(""))).toEqual([
    "latest: Pulling from library/x",
    "aaa: Downloading [==============================] 100B/100B",
    "bbb: Downloading [===============>              ] 50B/100B",
    "",
  ]);
  expect(screen(text.join(""))).toEqual([
    "latest: Pulling from library/x",
    "aaa: Pull complete",
    "bbb: Pull complete",
    "Digest: sha256:0",
    "aaa: Already exists",
    "",
  ]);
});

test("elsewhere the steps in between are left out", () => {
  const lines = new PlainLines();
  const shown = [
    { status: "Pulling from library/x", id: "latest" },
    step("aaa", 50),
    { id: "aaa", status: "Pull complete", progressDetail: {} },
    { stream: "Step 1/1" },
    { status: "" },
  ].map((message) => lines.show(message));
  expect(shown).toEqual(["latest: Pulling from library/x\n", "", "aaa: Pull complete\n", "Step 1/1", ""]);
});
