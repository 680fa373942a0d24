import { afterEach, describe, expect, test } from "bun:test";
import { GantryError } from "../../lib/index.ts";
import { sampleRecord } from "../sample.test-data.ts";
import { exitedWith, FakeSession, RawClient, sampleView, serveApi, type TestApi } from "./api.test-double.ts";
import { frame } from "./hijack.ts";

const apis: TestApi[] = [];
afterEach(() => {
  for (const api of apis.splice(0)) api.stop();
});

interface Attached {
  readonly api: TestApi;
  readonly session: FakeSession;
  readonly asked: unknown[];
}

async function serveContainer(tty: boolean, status: "running" | "paused" = "running"): Promise<Attached> {
  const session = new FakeSession();
  const asked: unknown[] = [];
  const { config } = sampleRecord();
  const record = sampleRecord({ id: "a".repeat(64), config: { ...config, Tty: tty, OpenStdin: true } });
  const view = sampleView({ record });
  const api = await serveApi({
    containers: {
      view: () => ({ ...view, state: { ...view.state, status } }),
      attach: async (id, request) => {
        asked.push([id, request]);
        return session;
      },
    },
  });
  apis.push(api);
  return { api, session, asked };
}

describe("attach with an upgrade", () => {
  test("output is framed, input and its end reach the container, the connection ends with it", async () => {
    const { api, session, asked } = await serveContainer(false);
    const client = new RawClient(api.path);
    client.upgrade("/containers/web/attach?stream=1&stdin=1&stdout=1&stderr=1");
    expect(await client.head()).toMatch(
      /^HTTP\/1\.1 101 UPGRADED\r\nContent-Type: application\/vnd\.docker\.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n/,
    );
    await session.say(1, "out");
    await session.say(2, "err");
    await client.hear(Buffer.concat([frame(1, Buffer.from("out")), frame(2, Buffer.from("err"))]));
    client.send("in1 ");
    client.send("in2");
    client.socket.end();
    expect(await session.stdinEnded).toBe("in1 in2");
    // The other direction goes on after the client's end of file.
    await session.say(1, "late");
    await client.hear(frame(1, Buffer.from("late")));
    await session.end(exitedWith(0));
    expect(await client.rest()).toBe("");
    expect(asked).toEqual([
      [
        "a".repeat(64),
        { streams: { stdin: true, stdout: true, stderr: true }, logs: false, stream: true, detachKeys: "" },
      ],
    ]);
  });

  test("old clients get the old media type", async () => {
    const { api } = await serveContainer(false);
    const client = new RawClient(api.path);
    client.upgrade("/v1.41/containers/web/attach?stream=1&stdout=1");
    expect(await client.head()).toContain("application/vnd.docker.raw-stream");
    client.close();
  });

  test("bytes behind the request are input", async () => {
    const { api, session } = await serveContainer(false);
    const client = new RawClient(api.path);
    client.upgrade("/containers/web/attach?stream=1&stdin=1", undefined, Buffer.from("early "));
    await client.head();
    client.send("late");
    client.socket.end();
    expect(await session.stdinEnded).toBe("early late");
  });

  test("a terminal's output is raw and the detach keys leave", async () => {
    const { api, session } = await serveContainer(true);
    const client = new RawClient(api.path);
    client.upgrade("/containers/web/attach?stream=1&stdin=1&stdout=1&detachKeys=ctrl-a,x");
    expect(await client.head()).toContain("application/vnd.docker.raw-stream");
    await session.say(1, "$ ");
    await client.hear("$ ");
    client.send("ls\n\x01");
    client.send("x");
    await session.closed;
    expect(await client.rest()).toBe("");
    expect(session.stdin).toBe("ls\n");
  });

  test("without stdin, what the client sends is dropped and its end of file harmless", async () => {
    const { api, session } = await serveContainer(false);
    const client = new RawClient(api.path);
    client.upgrade("/containers/web/attach?stream=1&stdout=1");
    await client.head();
    client.send("noise");
    client.socket.end();
    await session.say(1, "still here");
    await client.hear(frame(1, Buffer.from("still here")));
    expect(session.stdin).toBe("");
    client.close();
  });

  test("a client that goes away lets the container go", async () => {
    const { api, session } = await serveContainer(false);
    const client = new RawClient(api.path);
    client.upgrade("/containers/web/attach?stream=1&stdout=1");
    await client.head();
    client.close();
    await session.closed;
  });

  test("a client that does not read holds the output up", async () => {
    const { api, session } = await serveContainer(false);
    const client = new RawClient(api.path);
    client.upgrade("/containers/web/attach?stream=1&stdout=1");
    await client.head();
    client.socket.pause();
    const piece = "x".repeat(64 << 10);
    let said = 0;
    const talking = (async () => {
      for (; said < 200; said++) await session.say(1, piece);
    })();
    await Bun.sleep(100);
    expect(said).toBeLessThan(100);
    client.socket.resume();
    await talking;
    expect(said).toBe(200);
    client.close();
  });

  test("a program that does not read holds the client up", async () => {
    const { api, session } = await serveContainer(false);
    const reading = Promise.withResolvers<void>();
    session.reads = reading.promise;
    const client = new RawClient(api.path);
    client.upgrade("/containers/web/attach?stream=1&stdin=1");
    await client.head();
    const megabyte = Buffer.alloc(1 << 20, "y");
    let flowing = true;
    for (let sent = 0; sent < 16 && flowing; sent++) flowing = client.socket.write(megabyte);
    await Bun.sleep(100);
    expect(client.socket.writableLength).toBeGreaterThan(0);
    reading.resolve();
    client.socket.end();
    expect((await session.stdinEnded).length).toBeGreaterThanOrEqual(1 << 20);
  });

  test.each([["/containers/web/attach?stream=1&detachKeys=ctrl-1", 400, "Invalid detach keys"]])(
    "%s is refused as HTTP",
    async (path, status, message) => {
      const { api } = await serveContainer(true);
      const client = new RawClient(api.path);
      client.upgrade(path);
      expect(await client.head()).toStartWith(`HTTP/1.1 ${status}`);
      expect(await client.rest()).toContain(message);
    },
  );

  test("a paused container is a conflict", async () => {
    const { api } = await serveContainer(false, "paused");
    const client = new RawClient(api.path);
    client.upgrade("/containers/web/attach?stream=1");
    expect(await client.head()).toStartWith("HTTP/1.1 409");
    client.close();
  });
});

describe("attach without an upgrade", () => {
  test("output is the body up to the end of the connection, without chunks", async () => {
    const { api, session } = await serveContainer(false);
    const client = new RawClient(api.path);
    client.send(
      "POST /containers/web/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    );
    const head = await client.head();
    expect(head).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(head).toContain("application/vnd.docker.raw-stream");
    expect(head.toLowerCase()).not.toContain("chunked");
    await session.say(1, "out");
    await client.hear(frame(1, Buffer.from("out")));
    await session.end();
    expect(await client.rest()).toBe("");
  });

  test("stdin is refused", async () => {
    const { api, asked } = await serveContainer(false);
    const answer = await api.post("/containers/web/attach?stream=1&stdin=1");
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { message: string }).message).toContain("Upgrade: tcp");
    expect(asked).toEqual([]);
  });
});

describe("exec", () => {
  const config = {
    cmd: ["sh"],
    env: [],
    user: "",
    workingDir: "",
    tty: false,
    privileged: false,
    attachStdin: true,
    attachStdout: true,
    attachStderr: true,
    detachKeys: "",
  };
  async function serveExec(
    failure?: GantryError,
  ): Promise<{ api: TestApi; session: FakeSession; started: unknown[] }> {
    const session = new FakeSession();
    const started: unknown[] = [];
    const api = await serveApi({
      execs: {
        create: (container, given) => {
          started.push(["create", container, given]);
          return { id: "e1" };
        },
        inspect: () => ({
          id: "e1",
          containerId: "c1",
          config,
          running: false,
          exitCode: failure === undefined ? 0 : 127,
          pid: 0,
        }),
        checkStart: () => {
          if (failure?.code === "conflict") throw failure;
        },
        start: async (id, options) => {
          started.push([id, options]);
          if (failure !== undefined) throw failure;
          return {
            started: { pid: 1, startTime: "1", monitorPid: 2 },
            ...(options.attach === undefined ? {} : { session }),
          };
        },
        resize: (_, rows, cols) => void started.push(`${rows}x${cols}`),
      },
    });
    apis.push(api);
    return { api, session, started };
  }

  test("create, start with an upgrade and a body, talk", async () => {
    const { api, session, started } = await serveExec();
    const created = await api.post("/containers/c1/exec", {
      Cmd: ["sh"],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Env: ["A=b"],
      ConsoleSize: [1, 2],
    });
    expect([created.status, await created.json()]).toEqual([201, { Id: "e1" }]);
    const client = new RawClient(api.path);
    client.upgrade("/exec/e1/start", { Detach: false, Tty: false, ConsoleSize: [24, 80] });
    expect(await client.head()).toStartWith("HTTP/1.1 101");
    await session.say(2, "hm");
    await client.hear(frame(2, Buffer.from("hm")));
    client.send("exit\n");
    client.socket.end();
    expect(await session.stdinEnded).toBe("exit\n");
    await session.end(exitedWith(0));
    await client.rest();
    expect(started.at(-1)).toEqual([
      "e1",
      { attach: { stdin: true, stdout: true, stderr: true }, rows: 24, cols: 80 },
    ]);
  });

  test("the start's Tty decides whether there are frames; its spelling does not matter", async () => {
    const { api, session } = await serveExec();
    const client = new RawClient(api.path);
    client.upgrade("/exec/e1/start", { tty: true });
    expect(await client.head()).toContain("raw-stream");
    await session.say(1, "bare");
    await client.hear(Buffer.from("bare"));
    await session.end(exitedWith(0));
    expect(await client.rest()).toBe("");
  });

  test("detached: no streams, an empty answer", async () => {
    const { api, started } = await serveExec();
    const answer = await api.post("/exec/e1/start", { Detach: true });
    expect([answer.status, await answer.text()]).toEqual([200, ""]);
    expect(started).toEqual([["e1", { rows: 0, cols: 0 }]]);
  });

  test("what cannot be executed is told on the stream", async () => {
    const { api } = await serveExec(
      new GantryError("command-not-found", 'exec: "nope": executable file not found in $PATH'),
    );
    const client = new RawClient(api.path);
    client.upgrade("/exec/e1/start", {});
    expect(await client.head()).toStartWith("HTTP/1.1 101");
    await client.hear(frame(1, Buffer.from('exec: "nope": executable file not found in $PATH\r\n')));
    expect(await client.rest()).toBe("");
    expect(await (await api.fetch("/exec/e1/json")).json()).toMatchObject({
      ID: "e1",
      ExitCode: 127,
      Running: false,
    });
  });

  test("so is every other reason why it did not start", async () => {
    const { api } = await serveExec(new GantryError("invalid", "unable to find user nope"));
    const client = new RawClient(api.path);
    client.upgrade("/exec/e1/start", {});
    expect(await client.head()).toStartWith("HTTP/1.1 101");
    await client.hear(frame(1, Buffer.from("unable to find user nope\r\n")));
    expect(await client.rest()).toBe("");
  });

  test("a container that does not run is an HTTP error", async () => {
    const { api } = await serveExec(new GantryError("conflict", "container c1 is not running"));
    const client = new RawClient(api.path);
    client.upgrade("/exec/e1/start", {});
    expect(await client.head()).toStartWith("HTTP/1.1 409");
    expect(await client.rest()).toContain("is not running");
  });

  test("resize", async () => {
    const { api, started } = await serveExec();
    expect((await api.post("/exec/e1/resize?h=30&w=100")).status).toBe(200);
    expect(started).toEqual(["30x100"]);
    expect((await api.post("/exec/e1/resize?h=-1&w=100")).status).toBe(400);
  });
});
