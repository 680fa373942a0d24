import { describe, expect, test } from "bun:test";
import { BuildArgs, platformArgs } from "./build-args.ts";

const make = (options: Record<string, string | null> = {}): BuildArgs =>
  new BuildArgs(options, platformArgs("amd64"));
const none = new Map<string, string>();

describe("BuildArgs", () => {
  test("a stage sees only what it declares; the option beats its default, its default beats the one before FROM", () => {
    const args = make({ A: "option" });
    args.declareMeta("A", "meta");
    args.declareMeta("B", "meta");
    expect([args.metaValue("A"), args.metaValue("B")]).toEqual(["option", "meta"]);
    args.beginStage();
    expect(args.value("A")).toBeUndefined();
    args.declare("A", "stage");
    args.declare("B", undefined);
    args.declare("C", "c");
    args.declare("D", undefined);
    expect(["A", "B", "C", "D"].map((name) => args.value(name))).toEqual(["option", "meta", "c", undefined]);
    args.beginStage();
    expect(args.value("A")).toBeUndefined();
  });

  test("an option without a value leaves the default", () => {
    const args = make({ A: null });
    args.declare("A", "default");
    expect(args.value("A")).toBe("default");
  });

  test("proxies need no ARG and stay out of history; declared, they are arguments like others", () => {
    const args = make({ http_proxy: "p", A: "1" });
    args.declare("A", undefined);
    expect(args.forRun(none)).toEqual(["A=1", "http_proxy=p"]);
    expect([args.isVisible("http_proxy"), args.isVisible("A")]).toEqual([false, true]);
    args.declare("http_proxy", undefined);
    expect(args.isVisible("http_proxy")).toBe(true);
  });

  test("the image's environment is stronger in RUN", () => {
    const args = make({ A: "1" });
    args.declare("A", undefined);
    expect(args.forRun(new Map([["A", "env"]]))).toEqual([]);
  });

  test("unused: named by the client, in no ARG, no proxy", () => {
    const args = make({ X: "1", A: "1", no_proxy: "n" });
    args.declare("A", undefined);
    expect(args.unused()).toEqual(["X"]);
  });

  test("platform arguments: for FROM always, in a stage when declared", () => {
    const args = make({ TARGETOS: "mine" });
    expect(args.metaValue("BUILDPLATFORM")).toBe("linux/amd64");
    expect(args.value("TARGETARCH")).toBeUndefined();
    args.declare("TARGETARCH", undefined);
    args.declare("TARGETOS", undefined);
    expect([args.value("TARGETARCH"), args.value("TARGETOS")]).toEqual(["amd64", "mine"]);
  });
});
