/** Tar archives as nobody well-meaning makes them: names and links are written as they are given. */
import { createHash } from "node:crypto";

export interface Member {
  readonly name: string;
  /** The type flag: 0 a file, 1 a hard link, 2 a symbolic link, 5 a directory. */
  readonly type?: string;
  readonly link?: string;
  readonly data?: Buffer;
}

const blockBytes = 512;

/** An archive with its end mark. */
export function archive(members: readonly Member[]): Buffer {
  return Buffer.concat([...members.flatMap(blocks), Buffer.alloc(2 * blockBytes)]);
}

/** An image of one layer, as `docker save` writes it; its config states `diffId`, by default the true one. */
export function dockerArchive(layer: Buffer, reference: string, { diffId = sha256(layer) } = {}): Buffer {
  const config = Buffer.from(
    JSON.stringify({
      architecture: "amd64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: [diffId] },
    }),
  );
  const manifest = [{ Config: "config.json", RepoTags: [reference], Layers: ["layer.tar"] }];
  return archive([
    { name: "manifest.json", data: Buffer.from(JSON.stringify(manifest)) },
    { name: "config.json", data: config },
    { name: "layer.tar", data: layer },
  ]);
}

function sha256(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function blocks({ name, type = "0", link = "", data = Buffer.alloc(0) }: Member): Buffer[] {
  const header = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, length: number): void =>
    void header.write(value.toString(8).padStart(length - 1, "0"), at);
  header.write(name, 0);
  octal(type === "5" ? 0o755 : 0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(data.length, 124, 12);
  octal(0, 136, 12);
  header.write(type, 156);
  header.write(link, 157);
  header.write("ustar\x0000", 257);
  header.fill(" ", 148, 156);
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return [header, data, Buffer.alloc((blockBytes - (data.length % blockBytes)) % blockBytes)];
}
