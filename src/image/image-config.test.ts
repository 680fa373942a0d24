import { describe, expect, test } from "bun:test";
import { sha256 } from "../lib/index.ts";
import { formatImageConfig, parseImageConfig } from "./image-config.ts";

const diffId = sha256("layer");
const parse = (value: unknown): unknown => parseImageConfig(Buffer.from(JSON.stringify(value)));

test("what docker writes: nulls are absent, unknown fields are dropped", () => {
  const config = parse({
    architecture: "amd64",
    os: "linux",
    created: "2024-01-02T03:04:05Z",
    container_config: { Hostname: "x" },
    config: {
      Cmd: ["sh"],
      Entrypoint: null,
      Env: ["A=b"],
      ExposedPorts: { "80/tcp": {} },
      Labels: null,
      OnBuild: null,
      Healthcheck: { Test: ["NONE"] },
    },
    rootfs: { type: "layers", diff_ids: [diffId] },
    history: [{ created_by: "CMD", empty_layer: true }],
  });
  expect(config).toEqual({
    architecture: "amd64",
    os: "linux",
    created: "2024-01-02T03:04:05Z",
    config: { Cmd: ["sh"], Env: ["A=b"], ExposedPorts: { "80/tcp": {} }, Healthcheck: { Test: ["NONE"] } },
    rootfs: { type: "layers", diff_ids: [diffId] },
    history: [{ created_by: "CMD", empty_layer: true }],
  });
});

test("the least that is one, and what we write is read", () => {
  const config = parseImageConfig(Buffer.from("{}"));
  expect(config).toEqual({
    architecture: "",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [] },
    history: [],
  });
  expect(parseImageConfig(formatImageConfig(config))).toEqual(config);
  expect(Buffer.from(formatImageConfig(config)).toString()).toBe(
    '{"architecture":"","config":{},"history":[],"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}',
  );
});

describe("refused", () => {
  test.each([
    [[], "the image config is not a JSON object"],
    [{ os: "windows" }, 'the image is for "windows"'],
    [{ config: "x" }, "config of the image config is not a JSON object"],
    [{ config: { Cmd: "sh" } }, "Cmd of config of the image config is not a list of texts"],
    [{ config: { Env: [1] } }, "Env of config of the image config is not a list of texts"],
    [{ config: { Labels: { a: 1 } } }, "Labels.a of config of the image config is not a text"],
    [{ config: { StopTimeout: "9" } }, "StopTimeout of config of the image config is not a number"],
    [{ rootfs: { diff_ids: ["sha256:xyz"] } }, "invalid diff_id"],
    [{ rootfs: { diff_ids: Array.from({ length: 501 }, () => diffId) } }, "at most 500 layers"],
    [{ history: ["x"] }, "history of the image config is not a JSON object"],
  ])("%j", (value, message) => expect(() => parse(value)).toThrow(message));

  test("what is no JSON, no UTF-8, or immense", () => {
    expect(() => parseImageConfig(Buffer.from("{"))).toThrow("the image config is not valid JSON");
    expect(() => parseImageConfig(Buffer.from([0x7b, 0xff, 0x7d]))).toThrow("not valid JSON");
    expect(() => parseImageConfig(Buffer.alloc((4 << 20) + 1, " "))).toThrow("larger than");
  });
});
