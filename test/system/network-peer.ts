/**
 * What runs inside the network namespaces of network.test.ts: servers that say who they are and who asked, and clients that
 * print what they were answered. Words: serve NAME PORT | tcp IP PORT | udp IP PORT | bytes IP PORT N
 */
const [word = "", ...rest] = process.argv.slice(2);
const patienceMs = 1500;

async function serve(name: string, port: number): Promise<void> {
  Bun.listen({
    hostname: "0.0.0.0",
    port,
    socket: { open: (socket) => void socket.end(`tcp ${name} saw ${socket.remoteAddress}\n`), data() {} },
  });
  await Bun.udpSocket({
    hostname: "0.0.0.0",
    port,
    socket: { data: (socket, _bytes, from, address) => void socket.send(`udp ${name} saw ${address}\n`, from, address) },
  });
  console.log("ready");
}

function askTcp(hostname: string, port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  setTimeout(() => resolve("timeout"), patienceMs);
  Bun.connect({
    hostname,
    port,
    socket: { data: (_socket, bytes) => void (text += Buffer.from(bytes).toString()), close: () => resolve(text.trim()) },
  }).catch((error: unknown) => resolve(String(error instanceof Error && "code" in error ? error.code : error)));
  return promise;
}

async function askUdp(hostname: string, port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  setTimeout(() => resolve("timeout"), patienceMs);
  const socket = await Bun.udpSocket({
    connect: { hostname, port },
    socket: { data: (_socket, bytes) => resolve(Buffer.from(bytes).toString().trim()), error: () => resolve("refused") },
  });
  socket.send("who");
  return await promise;
}

const [first = "", second = ""] = rest;
if (word === "serve") await serve(first, Number(second));
else {
  console.log(word === "tcp" ? await askTcp(first, Number(second)) : await askUdp(first, Number(second)));
  process.exit(0);
}
