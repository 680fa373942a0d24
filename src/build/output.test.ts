import { describe, expect, test } from "bun:test";
import { sha256 } from "../lib/index.ts";
import { BuildOutput, CommandOutput, shortDigest } from "./output.ts";
import type { BuildMessage } from "./types.ts";

function recorder(quiet: boolean): { readonly output: BuildOutput; readonly messages: BuildMessage[] } {
  const messages: BuildMessage[] = [];
  return { output: new BuildOutput((message) => void messages.push(message), quiet), messages };
}

const id = sha256("x");

describe("BuildOutput", () => {
  test("says what happens and the end", () => {
    const { output, messages } = recorder(false);
    output.line("Step 1/1 : FROM x");
    output.imageId(id);
    output.succeeded(id, ["a:latest"]);
    expect(messages).toEqual([
      { stream: "Step 1/1 : FROM x\n" },
      { aux: { ID: id } },
      { stream: `Successfully built ${shortDigest(id)}\n` },
      { stream: "Successfully tagged a:latest\n" },
    ]);
  });

  test("quiet: only the id; after a failure all that was kept back, and no more than a bound of it", () => {
    const good = recorder(true);
    good.output.line("noise");
    good.output.succeeded(id, ["a:latest"]);
    expect(good.messages).toEqual([{ stream: `${id}\n` }]);
    const bad = recorder(true);
    bad.output.text("x".repeat(2 << 20));
    bad.output.line("last words");
    bad.output.failed();
    const [message] = bad.messages;
    const text = message !== undefined && "stream" in message ? message.stream : "";
    expect(text).toHaveLength(1 << 20);
    expect(text).toEndWith("last words\n");
  });
});

test("a command's characters are not split, stderr is red", () => {
  const { output, messages } = recorder(false);
  const command = new CommandOutput(output);
  const bytes = Buffer.from("é€");
  command.write(1, bytes.subarray(0, 1));
  command.write(2, Buffer.from("err"));
  command.write(1, bytes.subarray(1, 3));
  command.write(1, bytes.subarray(3));
  command.write(1, Buffer.from([0xe2]));
  command.end();
  expect(messages).toEqual([
    { stream: "\u001B[91merr\u001B[0m" },
    { stream: "é" },
    { stream: "€" },
    { stream: "\uFFFD" },
  ]);
});
