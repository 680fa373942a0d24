import { afterEach, expect, test } from "bun:test";
import { GantryError } from "../../lib/index.ts";
import { exitedWith, FakeSession, RawClient, serveApi, type TestApi } from "./api.test-double.ts";
import { frameType } from "./frames.ts";
import { frame } from "./hijack.ts";

const apis: TestApi[] = [];
afterEach(() => {
  for (const api of apis.splice(0)) api.stop();
});

const json = (type: number, value: unknown): Uint8Array => frame(type, Buffer.from(JSON.stringify(value)));

interface Served {
  readonly api: TestApi;
  readonly session: FakeSession;
  readonly exited: PromiseWithResolvers<ReturnType<typeof exitedWith>>;
  readonly calls: unknown[];
}

async function serveRuns(failure?: GantryError): Promise<Served> {
  const session = new FakeSession();
  const exited = Promise.withResolvers<ReturnType<typeof exitedWith>>();
  const calls: unknown[] = [];
  const api = await serveApi({
    containers: {
      run: async (request, options) => {
        calls.push([request.config.Image, request.name, options]);
        if (failure !== undefined) throw failure;
        return {
          id: "c1",
          warnings: ["w"],
          exited: exited.promise.then(({ exitCode }) => ({ exitCode, error: "" })),
          ...(options.attach === undefined ? {} : { session }),
        };
      },
      kill: async (id, signal) => void calls.push(["kill", id, signal]),
    },
    execs: {
      create: () => ({ id: "e1" }),
      start: async (_, options) => {
        calls.push(["exec", options]);
        return { session, started: { pid: 1, startTime: "1", monitorPid: 1 } };
      },
      exited: () => exited.promise,
    },
  });
  apis.push(api);
  return { api, session, exited, calls };
}

const run = {
  Name: "x1",
  Detach: false,
  AttachStdin: true,
  AttachStdout: true,
  AttachStderr: true,
  Rows: 24,
  Cols: 80,
  Body: { Image: "busybox" },
};
const created = json(frameType.created, { Id: "c1", Warnings: ["w"] });

test("one round trip: the RUN frame behind the request, CREATED, output, input, EXIT", async () => {
  const { api, session, exited, calls } = await serveRuns();
  const client = new RawClient(api.path);
  client.upgrade(
    "/gantry/run",
    undefined,
    Buffer.concat([json(frameType.run, run), frame(frameType.stdin, Buffer.from("early "))]),
  );
  expect(await client.head()).toStartWith("HTTP/1.1 101");
  await client.hear(created);
  await session.say(1, "out");
  await client.hear(frame(1, Buffer.from("out")));
  client.send(frame(frameType.stdin, Buffer.from("in")));
  client.send(
    Buffer.concat([
      frame(frameType.resize, Buffer.from([30, 0, 100, 0])),
      frame(frameType.signal, Buffer.from([15, 0, 0, 0])),
    ]),
  );
  client.send(frame(frameType.stdin, new Uint8Array()));
  expect(await session.stdinEnded).toBe("early in");
  expect(session.sizes).toEqual(["30x100"]);
  await session.end(exitedWith(7));
  exited.resolve(exitedWith(7));
  await client.hear(json(frameType.exit, { StatusCode: 7 }));
  expect(await client.rest()).toBe("");
  const attach = { stdin: true, stdout: true, stderr: true };
  expect(calls).toEqual([
    ["busybox", "x1", { attach, rows: 24, cols: 80 }],
    ["kill", "c1", "15"],
  ]);
});

test("the RUN frame may come late and in pieces", async () => {
  const { api } = await serveRuns();
  const client = new RawClient(api.path);
  client.upgrade("/gantry/run");
  await Bun.sleep(10);
  const bytes = json(frameType.run, run);
  client.send(bytes.subarray(0, 5));
  await Bun.sleep(10);
  client.send(bytes.subarray(5));
  await client.head();
  await client.hear(created);
  client.close();
});

test("detached: over with CREATED", async () => {
  const { api, calls } = await serveRuns();
  const client = new RawClient(api.path);
  client.upgrade("/gantry/run", undefined, json(frameType.run, { ...run, Detach: true }));
  await client.head();
  await client.hear(created);
  expect(await client.rest()).toBe("");
  expect(calls).toEqual([["busybox", "x1", { attach: undefined, rows: 24, cols: 80 }]]);
});

const refusals = [
  {
    name: "a command that is not there",
    failure: new GantryError("command-not-found", "nope", { hint: "h" }),
    send: json(frameType.run, run),
    want: { message: "nope", hint: "h", exitCode: 127, statusCode: 400 },
  },
  {
    name: "an unknown image",
    failure: new GantryError("not-found", "No such image: x"),
    send: json(frameType.run, run),
    want: { message: "No such image: x", exitCode: 125, statusCode: 404 },
  },
  {
    name: "another first frame",
    failure: undefined,
    send: frame(frameType.stdin, Buffer.from("x")),
    want: { message: "the client's first frame must be RUN", exitCode: 125, statusCode: 400 },
  },
  {
    name: "no JSON",
    failure: undefined,
    send: frame(frameType.run, Buffer.from("{")),
    want: { message: "the client sent a RUN frame that is no JSON", exitCode: 125, statusCode: 400 },
  },
  {
    name: "no frame",
    failure: undefined,
    send: Buffer.from("hello world"),
    want: { message: "the client sent something that is no frame", exitCode: 125, statusCode: 400 },
  },
] as const;

test.each(refusals)("ERROR for $name", async ({ failure, send, want }) => {
  const { api } = await serveRuns(failure);
  const client = new RawClient(api.path);
  client.upgrade("/gantry/run", undefined, send);
  expect(await client.head()).toStartWith("HTTP/1.1 101");
  await client.hear(json(frameType.error, want));
  expect(await client.rest()).toBe("");
});

test("a client that goes away lets the container go on", async () => {
  const { api, session } = await serveRuns();
  const client = new RawClient(api.path);
  client.upgrade("/gantry/run", undefined, json(frameType.run, run));
  await client.head();
  await client.hear(created);
  client.close();
  await session.closed;
});

test("exec", async () => {
  const { api, session, exited, calls } = await serveRuns();
  const client = new RawClient(api.path);
  const body = { Cmd: ["true"], AttachStdin: false, AttachStdout: true, AttachStderr: true };
  client.upgrade(
    "/gantry/containers/web/exec",
    undefined,
    json(frameType.run, { Detach: false, Rows: 0, Cols: 0, Body: body }),
  );
  await client.head();
  await client.hear(json(frameType.created, { Id: "e1", Warnings: [] }));
  await session.end(exitedWith(3));
  exited.resolve(exitedWith(3));
  await client.hear(json(frameType.exit, { StatusCode: 3 }));
  expect(await client.rest()).toBe("");
  expect(calls).toEqual([
    ["exec", { attach: { stdin: false, stdout: true, stderr: true }, rows: 0, cols: 0 }],
  ]);
});
