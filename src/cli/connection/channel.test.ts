import { afterAll, afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Channel } from "./channel.ts";

const folder = mkdtempSync(join(tmpdir(), "cli-channel-"));
const servers: Bun.UnixSocketListener<Buffer[]>[] = [];
let count = 0;

afterEach(() => {
  for (const server of servers.splice(0)) server.stop(true);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Answers the first bytes of a connection with `answer`; later bytes are echoed; ends when the client has ended. */
function serve(answer: string | readonly string[]): string {
  const path = join(folder, `${count++}.sock`);
  const parts = typeof answer === "string" ? [answer] : answer;
  servers.push(
    Bun.listen<Buffer[]>({
      unix: path,
      allowHalfOpen: true,
      socket: {
        open(socket) {
          socket.data = [];
        },
        async data(socket, bytes) {
          socket.data.push(bytes);
          if (socket.data.length > 1) return void socket.write(bytes);
          for (const part of parts) {
            socket.write(part);
            socket.flush();
            await Bun.sleep(1);
          }
        },
        end(socket) {
          socket.end("bye");
        },
      },
    }),
  );
  return path;
}

async function talk(path: string, say?: string): Promise<string> {
  let heard = "";
  const channel = await Channel.connect(
    { is: "unix", path },
    { path: "/x", onData: (bytes) => void (heard += Buffer.from(bytes).toString()) },
  );
  await channel.opened;
  if (say !== undefined) await channel.write(Buffer.from(say));
  await Bun.sleep(5);
  channel.end();
  await channel.closed;
  return heard;
}

const upgraded = "HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n";

test("bytes that come with the head of the answer are not lost", async () => {
  expect(await talk(serve(`${upgraded}first `))).toBe("first bye");
});

test("the head may come in pieces", async () => {
  expect(await talk(serve(["HTTP/1.1 10", "1 X\r\nA: b\r", "\n\r", "\nz"]))).toBe("zbye");
});

test("the other direction stays open after our end", async () => {
  expect(await talk(serve(upgraded), "ping ")).toBe("ping bye");
});

const json = '{"message":"No such container: x","hint":"look"}';

test.each([
  ["with a length", `HTTP/1.1 404 Not Found\r\nContent-Length: ${json.length}\r\n\r\n${json}`],
  [
    "in chunks",
    `HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n${json.length.toString(16)}\r\n${json}\r\n0\r\n\r\n`,
  ],
])("a refusal %s carries message and hint", async (_, answer) => {
  const channel = await Channel.connect(
    { is: "unix", path: serve(answer) },
    { path: "/x", onData: () => undefined },
  );
  await expect(channel.opened).rejects.toMatchObject({
    message: "No such container: x",
    hint: "look",
    status: 404,
  });
});

test("nobody listens: the system's error", async () => {
  const attempt = Channel.connect(
    { is: "unix", path: join(folder, "none") },
    { path: "/x", onData: () => undefined },
  );
  await expect(attempt).rejects.toMatchObject({ code: "ENOENT" });
});

test("a slow reader holds the stream up: pieces never overlap", async () => {
  const path = serve([upgraded, "a", "b", "c"]);
  let busy = 0;
  let heard = "";
  const channel = await Channel.connect(
    { is: "unix", path },
    {
      path: "/x",
      onData: async (bytes) => {
        expect(++busy).toBe(1);
        await Bun.sleep(3);
        heard += Buffer.from(bytes).toString();
        busy--;
      },
    },
  );
  await channel.opened;
  await Bun.sleep(8);
  channel.end();
  await channel.closed;
  expect(heard).toBe("abcbye");
});
