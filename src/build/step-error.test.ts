import { describe, expect, test } from "bun:test";
import { GantryError } from "../lib/index.ts";
import { stepError, type StepPlace } from "./step-error.ts";

const place: StepPlace = { number: 2, total: 5, text: "COPY . /app", line: 7 };
const idle = new AbortController().signal;
const errno = (code: string): Error =>
  Object.assign(new Error(`${code}: no space left on device, write`), { code });

describe("stepError", () => {
  test.each([
    ["errno", errno("ENOSPC")],
    ["quota", errno("EDQUOT")],
    ["a child's report", new GantryError("exhausted", "write /x: ENOSPC: no space left on device")],
    ["deep in the cause", new GantryError("internal", "unpack", { cause: errno("ENOSPC") })],
  ])("a full disk is named with the step: %s", (_, error) => {
    const told = stepError(error, place, idle);
    expect(told.code).toBe("exhausted");
    expect(told.message).toBe("no space left on device in step 2/5 : COPY . /app");
    expect(told.hint).toContain("gantry system prune");
    expect(told.fields).toEqual({ step: "2/5", line: 7 });
  });

  test("other errors keep code, words, remedy and facts", () => {
    const told = stepError(
      new GantryError("invalid", "The command 'x' returned a non-zero code: 6", {
        hint: "h",
        fields: { exitCode: 6 },
      }),
      place,
      idle,
    );
    expect([told.code, told.message, told.hint]).toEqual([
      "invalid",
      "The command 'x' returned a non-zero code: 6",
      "h",
    ]);
    expect(told.fields).toEqual({ exitCode: 6, step: "2/5", line: 7 });
  });

  test("whatever breaks after an abort is a canceled build", () => {
    const control = new AbortController();
    control.abort();
    expect(stepError(new Error("EPIPE"), place, control.signal).code).toBe("canceled");
  });

  test("an abort with a reason of ours says it", () => {
    const control = new AbortController();
    control.abort(new GantryError("unavailable", "the client is gone"));
    expect(stepError(new Error("EPIPE"), place, control.signal)).toMatchObject({
      code: "unavailable",
      message: "the client is gone",
    });
  });
});
