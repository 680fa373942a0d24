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

const said = (status: string) => (id: string) => ({ id, status, progressDetail: {} });

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

test("more layers than rows: a line leaves the screen when it is done, not before; none is written out of reach", () => {
  const rows = 4;
  const lines = new LiveLines(() => ({ rows, columns: 80 }));
  const ids = Array.from({ length: 7 }, (_, i) => `l${i}`);
  let text = "";
  const show = (message: Parameters<LiveLines["show"]>[0]): void => {
    text += lines.show(message);
  };
  ids.map(said("Pulling fs layer")).forEach(show);
  expect(screen(text)).toEqual(["l0: Pulling fs layer", "l1: Pulling fs layer", "l2: Pulling fs layer", ""]);
  // It has no line as yet.
  show(step("l6", 20));
  show(said("Pull complete")("l1"));
  expect(screen(text).length).toBe(4);
  show(said("Pull complete")("l0"));
  // Two have gone, two have come.
  expect(screen(text).slice(0, -1)).toEqual([
    "l0: Pull complete",
    "l1: Pull complete",
    "l2: Pulling fs layer",
    "l3: Pulling fs layer",
    "l4: Pulling fs layer",
  ]);
  show({ status: "Digest: sha256:0" });
  expect(screen(text).slice(5)).toEqual([
    "l5: Pulling fs layer",
    "l6: Downloading [======>                       ] 20B/100B",
    "Digest: sha256:0",
    "",
  ]);
  // eslint-disable-next-line no-control-regex
  for (const [, up] of text.matchAll(/\x1b\[(\d+)A/g)) expect(Number(up)).toBeLessThan(rows);
});

test("a line is never wider than the terminal", () => {
  const lines = new LiveLines(() => ({ rows: 24, columns: 30 }));
  expect(lines.show(step("aaa", 50))).toBe("aaa: Downloading [===========\n");
});

test("a terminal that has become smaller: what is out of its reach stays as it is", () => {
  let rows = 24;
  const lines = new LiveLines(() => ({ rows, columns: 80 }));
  for (const id of ["a", "b", "c", "d"]) lines.show({ id, status: "Waiting", progressDetail: {} });
  rows = 3;
  expect(lines.show(step("a", 50))).toBe("");
  expect(lines.show(step("d", 50))).toContain("\x1b[1A");
});
