import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { GantryError } from "../../lib/index.ts";
import { RawClient, sampleView, serveApi, type TestApi } from "./api.test-double.ts";

let api: TestApi;
const thrown: Record<string, GantryError> = {};

beforeAll(async () => {
  api = await serveApi({
    containers: {
      view: (id) => {
        if (id === "web") return sampleView();
        throw thrown[id] ?? new GantryError("not-found", `No such container: ${id}`);
      },
      list: () => [sampleView()],
      start: async (id) => {
        throw thrown[id] ?? new GantryError("not-found", `No such container: ${id}`);
      },
      create: async () => ({ id: "b".repeat(64), warnings: ["careful"], madeVolumes: [] }),
    },
    images: { list: () => [], tryFind: () => undefined },
  });
});
afterAll(() => api.stop());

describe("the server", () => {
  test("answers pings with what docker looks for", async () => {
    for (const method of ["GET", "HEAD"]) {
      const answer = await api.fetch("/_ping", { method });
      expect(answer.status).toBe(200);
      const { headers } = answer;
      expect([
        headers.get("api-version"),
        headers.get("builder-version"),
        headers.get("ostype"),
        headers.get("docker-experimental"),
      ]).toEqual(["1.50", "1", "linux", "false"]);
      expect(await answer.text()).toBe(method === "GET" ? "OK" : "");
    }
  });

  test.each([
    ["/v1.24/containers/json", 200, ""],
    ["/v1.50/containers/json", 200, ""],
    ["/v1.51/containers/json", 400, "client version 1.51 is too new. Maximum supported API version is 1.50"],
    [
      "/v1.23/containers/json",
      400,
      "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
    ],
    ["/nope", 404, "page not found"],
    ["/containers/%ff/json", 400, "malformed path: %ff"],
    ["/swarm", 503, "This node is not a swarm manager."],
    ["/services/x/logs", 503, "This node is not a swarm manager."],
    ["/containers/none/json", 404, "No such container: none"],
    ["/containers/web/attach/ws", 501, "attaching over a websocket is not supported"],
    ["/containers/json?filters=[]", 400, "invalid filter"],
    ["/containers/json?limit=x", 400, "invalid value for limit"],
  ])("GET %s", async (path, status, message) => {
    const answer = await api.fetch(path);
    expect(answer.status).toBe(status);
    const body = (await answer.json()) as { message?: string };
    expect(body.message ?? "").toStartWith(message);
  });

  test("answers carry the hint for our own client", async () => {
    thrown["hinted"] = new GantryError("conflict", "it is busy", { hint: "wait" });
    const answer = await api.post("/containers/hinted/start");
    expect([answer.status, await answer.json()]).toEqual([409, { message: "it is busy", hint: "wait" }]);
  });

  test.each([
    ["not-modified", 304, ""],
    ["exhausted", 507, "x"],
    ["denied", 403, "x"],
    ["internal", 500, "x"],
    ["timeout", 504, "x"],
  ] as const)("code %s is status %d", async (code, status, message) => {
    thrown["c"] = new GantryError(code, "x");
    const answer = await api.post("/containers/c/start");
    expect(answer.status).toBe(status);
    if (message !== "") expect(await answer.json()).toEqual({ message });
  });

  test.each([
    ["command-not-found", 'exec: "nope": executable file not found in $PATH', "executable file not found"],
    ["command-not-found", "exec /nope: no such file or directory", "no such file or directory"],
    ["command-not-found", "no such command", "no such command: executable file not found in $PATH"],
    ["command-not-executable", "exec /etc: permission denied", "permission denied"],
    ["command-not-executable", "exec format error", "exec format error: permission denied"],
    ["not-found", "bind /x: no such file or directory", "bind /x: does not exist"],
    ["denied", "mount: permission denied", "mount: access denied"],
  ] as const)("a failed start with %s and %j says %j", async (code, message, want) => {
    thrown["c"] = new GantryError(code, message);
    const answer = await api.post("/containers/c/start");
    expect(((await answer.json()) as { message: string }).message).toContain(want);
  });
});

describe("bodies", () => {
  const json = { "Content-Type": "application/json" };
  test.each([
    ["not JSON", "{", json, "invalid JSON"],
    [
      "another media type",
      "{}",
      { "Content-Type": "text/plain" },
      "unsupported Content-Type header (text/plain): must be 'application/json'",
    ],
    ["a list", "[]", json, "the body must be an object"],
    ["nested without end", `${'{"a":'.repeat(100)}1${"}".repeat(100)}`, json, "nested deeper than 64"],
    ["too large", JSON.stringify({ Image: "x".repeat(5 << 20) }), json, "larger than 4194304 bytes"],
    ["no image", "{}", json, "no image is given"],
  ])("%s", async (_, body, headers, message) => {
    const answer = await api.fetch("/containers/create", { method: "POST", headers, body });
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { message: string }).message).toContain(message);
  });

  test("a good one", async () => {
    const answer = await api.post("/containers/create?name=x1", { Image: "busybox" });
    expect([answer.status, await answer.json()]).toEqual([
      201,
      { Id: "b".repeat(64), Warnings: ["careful"] },
    ]);
  });

  test("a body that nobody wants is taken, then the answer comes", async () => {
    const client = new RawClient(api.path);
    client.send("POST /v1.99/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
    for (let sent = 0; sent < 20; sent++) {
      await Bun.sleep(2);
      client.send("x".repeat(100_000));
    }
    expect(await client.head()).toStartWith("HTTP/1.1 400");
    await client.until((heard) => heard.includes("too new"), "the reason");
    // The connection goes on.
    client.send("GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.until((heard) => heard.includes("HTTP/1.1 200 OK"), "the next answer");
    client.close();
  });

  test("a reader that stops in the middle does not cost the client its answer", async () => {
    const broken = await serveApi({
      images: {
        load: async (source) => {
          for await (const _ of source) throw new GantryError("corrupt", "the archive is damaged");
          return [];
        },
      },
    });
    const body = Buffer.alloc(20 << 20, "x");
    const answer = await broken.fetch("/images/load", { method: "POST", body });
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { error: "the archive is damaged", errorDetail: { message: "the archive is damaged" } },
    ]);
    broken.stop();
  });
});

describe("hostile heads", () => {
  test.each([
    ["no HTTP", "BROKEN\r\n\r\n", "400"],
    ["a flood of headers", `GET /_ping HTTP/1.1\r\nHost: x\r\n${"A: b\r\n".repeat(30_000)}\r\n`, "431"],
  ])("%s", async (_, bytes, status) => {
    const client = new RawClient(api.path);
    client.send(bytes);
    expect(await client.head()).toStartWith(`HTTP/1.1 ${status}`);
    client.close();
  });

  test("an upgrade of a call that has none is refused as HTTP", async () => {
    const client = new RawClient(api.path);
    client.upgrade("/containers/web/start");
    expect(await client.head()).toStartWith("HTTP/1.1 400");
    expect(await client.rest()).toContain("this call cannot be upgraded");
  });
});

test("metrics are Prometheus text", async () => {
  const metrics = await serveApi({ containers: { metrics: () => "gantry_x 1\n" } });
  await metrics.fetch("/nope");
  const answer = await metrics.fetch("/metrics");
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await answer.text();
  expect(text).toContain('gantry_http_requests_total{method="GET",code="404"} 1\n');
  expect(text).toContain("gantry_http_requests_open 1\n");
  expect(text).toEndWith("gantry_x 1\n");
  metrics.stop();
});
