import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GantryError } from "../../lib/index.ts";
import type { LogQuery } from "../logs/cri-line.ts";
import { RawClient, sampleView, serveApi, type TestApi } from "./api.test-double.ts";
import { listen } from "./listen.ts";
import { parseListenAddress } from "./listen-address.ts";

const apis: TestApi[] = [];
afterEach(() => {
  for (const api of apis.splice(0)) api.stop();
});

async function serve(parts: Parameters<typeof serveApi>[0]): Promise<TestApi> {
  const api = await serveApi(parts);
  apis.push(api);
  return api;
}

describe("wait", () => {
  test("the head goes out at once, after the wait stands; the body at the exit", async () => {
    const exit = Promise.withResolvers<{ exitCode: number; error: string }>();
    const waits: string[] = [];
    const api = await serve({
      containers: {
        wait: (id, condition) => {
          waits.push(`${id} ${condition}`);
          return exit.promise;
        },
      },
    });
    const client = new RawClient(api.path);
    client.send(
      "POST /containers/c1/wait?condition=removed HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    );
    expect(await client.head()).toMatch(/^HTTP\/1\.1 200 OK[^]*application\/json/);
    expect(waits).toEqual(["c1 removed"]);
    exit.resolve({ exitCode: 7, error: "" });
    await client.until((heard) => heard.includes('{"StatusCode":7}\n'), "the exit code");
    client.close();
  });

  test("a client that goes away stops waiting", async () => {
    const aborted = Promise.withResolvers<void>();
    const api = await serve({
      containers: {
        wait: (_, __, signal) => {
          signal.addEventListener("abort", () => aborted.resolve());
          return new Promise(() => undefined);
        },
      },
    });
    const client = new RawClient(api.path);
    client.send("POST /containers/c1/wait HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    await client.head();
    client.close();
    await aborted.promise;
  });

  test.each([
    ["/containers/none/wait", 404],
    ["/containers/c1/wait?condition=never", 400],
  ])("%s is %d", async (path, status) => {
    const api = await serve({
      containers: {
        wait: (id) => {
          throw new GantryError("not-found", `No such container: ${id}`);
        },
      },
    });
    expect((await api.post(path)).status).toBe(status);
  });
});

describe("logs", () => {
  const asked: { query: LogQuery; follow: boolean; framed: boolean }[] = [];
  const parts = {
    containers: {
      view: () => sampleView(),
      logs: (_: string, query: LogQuery, follow: boolean, framed: boolean) => {
        asked.push({ query, follow, framed });
        return (async function* () {
          yield Buffer.from("one");
          yield Buffer.from("two");
        })();
      },
    },
  };

  test("the query is read and the media type said", async () => {
    const api = await serve(parts);
    const answer = await api.fetch(
      "/containers/web/logs?stdout=1&tail=5&since=1.5&until=2&timestamps=1&follow=1",
    );
    expect(answer.headers.get("content-type")).toBe("application/vnd.docker.multiplexed-stream");
    expect(await answer.text()).toBe("onetwo");
    expect(asked.at(-1)).toEqual({
      query: {
        stdout: true,
        stderr: false,
        timestamps: true,
        sinceNs: 1_500_000_000n,
        untilNs: 2_000_000_000n,
        tail: 5,
      },
      follow: true,
      framed: true,
    });
  });

  test("one stream at least", async () => {
    const answer = await (await serve(parts)).fetch("/containers/web/logs");
    expect([answer.status, ((await answer.json()) as { message: string }).message]).toEqual([
      400,
      "Bad parameters: you must choose at least one stream",
    ]);
  });

  test("a failure behind the head cuts the answer off", async () => {
    const api = await serve({
      containers: {
        view: () => sampleView(),
        logs: () =>
          (async function* () {
            yield Buffer.from("one");
            throw new GantryError("internal", "the log cannot be read");
          })(),
      },
    });
    const client = new RawClient(api.path);
    client.send("GET /containers/web/logs?stdout=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.head();
    expect(await client.rest()).not.toContain("\r\n0\r\n\r\n");
    expect(api.logged.join("")).toContain("the log cannot be read");
  });
});

describe("events", () => {
  test("what was, what comes, and only what was asked for", async () => {
    const api = await serve({});
    api.events.emit("container", "create", "c1", { image: "busybox", name: "web" });
    api.events.emit("container", "start", "c2", { image: "busybox", name: "db" });
    const filters = encodeURIComponent(JSON.stringify({ container: ["web"], type: { container: true } }));
    const answer = await api.fetch(`/events?since=1&filters=${filters}`);
    const lines: unknown[] = [];
    const reading = (async () => {
      for await (const piece of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        for (const line of piece.trim().split("\n")) lines.push(JSON.parse(line));
        if (lines.length === 2) return;
      }
    })();
    await Bun.sleep(10);
    api.events.emit("network", "create", "n1");
    api.events.emit("container", "die", "c1", { image: "busybox", name: "web", exitCode: "3" });
    await reading;
    expect(lines).toMatchObject([
      { status: "create", id: "c1", from: "busybox", Type: "container", Action: "create", scope: "local" },
      { Action: "die", Actor: { ID: "c1", Attributes: { exitCode: "3" } } },
    ]);
    await answer.body?.cancel();
  });

  test("until a time that has passed ends at once; nanoseconds are exact", async () => {
    const api = await serve({});
    api.events.emit("volume", "create", "v");
    const answer = await api.fetch(`/events?since=1&until=${Math.ceil(Date.now() / 1000) + 1}`);
    const text = await answer.text();
    const [event] = api.events.recent();
    expect(text).toContain(`"timeNano":${event?.timeNs ?? 0n}}`);
    expect(api.events.listenerCount()).toBe(0);
  });
});

describe("stats", () => {
  test("a stopped container answers zeros at once; cpu and memory have docker's names", async () => {
    const base = {
      id: "c1",
      name: "web",
      readAtMs: 1_700_000_000_000,
      systemCpuNs: 5,
      onlineCpus: 2,
      memoryTotalBytes: 100,
      networks: {},
    };
    const api = await serve({ containers: { stats: () => ({ ...base, running: false, usage: {} }) } });
    const stopped = await (await api.fetch("/containers/web/stats?stream=0")).json();
    expect(stopped).toMatchObject({
      id: "c1",
      name: "/web",
      read: "2023-11-14T22:13:20.000Z",
      cpu_stats: { cpu_usage: { total_usage: 0 } },
      memory_stats: {},
    });
    const running = await serve({
      containers: {
        stats: () => ({
          ...base,
          running: true,
          usage: {
            cpu: { totalNs: 9, userNs: 4, systemNs: 5, periods: 1, throttledPeriods: 2, throttledNs: 3 },
            memory: {
              usage: 50,
              maxUsage: 60,
              inactiveFile: 7,
              cache: 8,
              failures: 0,
              oomKills: 0,
              stat: { inactive_file: 7 },
            },
            pids: { current: 3 },
            blockIo: [{ major: 8, minor: 0, readBytes: 1, writeBytes: 2, reads: 3, writes: 4 }],
          },
          networks: {
            eth0: {
              rxBytes: 1,
              rxPackets: 2,
              rxErrors: 3,
              rxDropped: 4,
              txBytes: 5,
              txPackets: 6,
              txErrors: 7,
              txDropped: 8,
            },
          },
        }),
      },
    });
    expect(await (await running.fetch("/containers/web/stats?stream=0&one-shot=1")).json()).toMatchObject({
      cpu_stats: {
        cpu_usage: { total_usage: 9, usage_in_usermode: 4, usage_in_kernelmode: 5 },
        system_cpu_usage: 5,
        online_cpus: 2,
      },
      precpu_stats: { cpu_usage: { total_usage: 0 } },
      memory_stats: { usage: 50, limit: 100, stats: { inactive_file: 7 } },
      pids_stats: { current: 3 },
      blkio_stats: {
        io_service_bytes_recursive: [
          { op: "read", value: 1 },
          { op: "write", value: 2 },
        ],
      },
      networks: { eth0: { rx_bytes: 1, tx_dropped: 8 } },
    });
  });
});

describe("listening", () => {
  test.each([
    ["unix:///run/x.sock", { is: "unix", path: "/run/x.sock" }],
    ["tcp://:2375", { is: "tcp", host: "127.0.0.1", port: 2375 }],
    ["tcp://localhost", { is: "tcp", host: "127.0.0.1", port: undefined }],
    ["tcp://[::1]:99", { is: "tcp", host: "::1", port: 99 }],
    ["tcp://0.0.0.0:2376", { is: "tcp", host: "0.0.0.0", port: 2376 }],
    ["fd://", { is: "fd", name: "" }],
    ["fd://*", { is: "fd", name: "" }],
    ["fd://gantry.socket", { is: "fd", name: "gantry.socket" }],
  ] as const)("%s", (text, want) => expect(parseListenAddress(text)).toEqual(want));

  test.each([
    "ssh://x",
    "unix://x",
    "tcp://example.org:1",
    "tcp://1.2.3.4:99999",
    `unix:///${"x".repeat(120)}`,
  ])("%s is refused", (text) => {
    expect(() => parseListenAddress(text)).toThrow(GantryError);
  });

  test("a socket appears with its mode, over a stale one, never over a file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gantry-listen-"));
    const path = join(folder, "engine.sock");
    const servers = [createServer(), createServer(), createServer()] as const;
    await listen(servers[0], { is: "unix", path, group: 0 });
    expect(statSync(path).mode & 0o777).toBe(0o660);
    servers[0].close();
    await listen(servers[1], { is: "unix", path, group: 0 });
    const file = join(folder, "file");
    writeFileSync(file, "mine");
    await expect(listen(servers[2], { is: "unix", path: file, group: 0 })).rejects.toThrow("is no socket");
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true });
  });
});
