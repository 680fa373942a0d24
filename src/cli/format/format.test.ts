import { expect, test } from "bun:test";
import { binarySize, ellipsis, humanDuration, humanSize } from "./human.ts";
import { formatListing } from "./listing.ts";
import { formatPorts } from "./ports.ts";
import { containerHeaders, containerRow, type ContainerSummary, containerTable } from "./rows-containers.ts";
import { imageRows } from "./rows-images.ts";
import { alignTabs } from "./table.ts";

const now = Date.parse("2026-11-24T08:10:33Z");
const image = `sha256:${"c".repeat(64)}`;

const containers: readonly ContainerSummary[] = [
  {
    Id: `a1b2c3d4e5f6${"0".repeat(52)}`,
    Names: ["/web", "/other/web"],
    Image: "busybox",
    ImageID: image,
    Command: "sh -c 'echo hello world; sleep 1000000'",
    Created: now / 1000 - 90,
    Ports: [
      { IP: "0.0.0.0", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
      { IP: "::", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
      { PrivatePort: 443, Type: "tcp" },
      { IP: "0.0.0.0", PrivatePort: 7001, PublicPort: 7001, Type: "tcp" },
      { IP: "0.0.0.0", PrivatePort: 7000, PublicPort: 7000, Type: "tcp" },
    ],
    Labels: { a: "b", c: "" },
    State: "running",
    Status: "Up 2 minutes",
    NetworkSettings: { Networks: { bridge: {}, zz: {} } },
    Mounts: [
      { Name: "a".repeat(33), Source: "", Driver: "local" },
      { Source: "/a/very/long/path/of/somewhere" },
    ],
    SizeRw: 123456,
    SizeRootFs: 98765432,
  },
  {
    Id: "f".repeat(64),
    Names: ["/job"],
    Image: image,
    ImageID: image,
    Command: "true",
    Created: now / 1000 - 50 * 3600,
    Ports: [],
    Labels: {},
    State: "exited",
    Status: "Exited (7) 2 days ago",
    NetworkSettings: { Networks: {} },
    Mounts: [],
  },
];

function list(format: string, truncate = true, table = containerTable): string {
  const rows = containers.map((container) => containerRow(container, truncate, now));
  return formatListing({ format, quiet: false, table, quietField: "ID", headers: containerHeaders, rows });
}

// The three texts below were printed by docker 28.2.2 for the same answer of an engine.
test("ps -a looks as docker's", () => {
  expect(list("")).toBe(
    `CONTAINER ID   IMAGE          COMMAND                  CREATED              STATUS                  PORTS                                                                                NAMES
a1b2c3d4e5f6   busybox        "sh -c 'echo hello w…"   About a minute ago   Up 2 minutes            443/tcp, 0.0.0.0:7000-7001->7000-7001/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp   web
ffffffffffff   cccccccccccc   "true"                   2 days ago           Exited (7) 2 days ago                                                                                        job
`,
  );
});

test("ps -as --no-trunc keeps everything", () => {
  const text = list("table {{.Names}}\\t{{.Size}}\\t{{.Image}}", false);
  expect(text).toBe(
    `NAMES           SIZE                     IMAGE\nweb,other/web   123kB (virtual 98.8MB)   busybox\njob             0B                       ${image}\n`,
  );
});

test("ps --format '{{json .}}' is docker's line", () => {
  expect(list("{{json .}}").split("\n")[0]).toBe(
    '{"Command":"\\"sh -c \'echo hello w…\\"","CreatedAt":"2026-11-24 08:09:03 +0000 UTC","ID":"a1b2c3d4e5f6","Image":"busybox","Labels":"a=b,c=","LocalVolumes":"1","Mounts":"aaaaaaaaaaaaaa…,/a/very/long/p…","Names":"web","Networks":"bridge,zz","Platform":null,"Ports":"443/tcp, 0.0.0.0:7000-7001-\\u003e7000-7001/tcp, 0.0.0.0:8080-\\u003e80/tcp, [::]:8080-\\u003e80/tcp","RunningFor":"About a minute ago","Size":"123kB (virtual 98.8MB)","State":"running","Status":"Up 2 minutes"}',
  );
});

test("a wrong template is refused in docker's words", () => {
  expect(() => list("{{.Foo}}")).toThrow(
    'failed to execute template: template: :1:2: executing "" at <.Foo>: can\'t evaluate field Foo in type *formatter.ContainerContext',
  );
  expect(() => list("{{.ID")).toThrow("failed to parse template: template: :1: unclosed action");
});

function imageTexts(tags: readonly string[]): string[] {
  return imageRows(
    { Id: image, RepoTags: tags, RepoDigests: [], Created: now / 1000 - 3 * 86_400, Size: 1234567 },
    { truncate: true, digests: false, nowMs: now },
  ).map((row) =>
    ["Repository", "Tag", "Size", "CreatedSince"].map((field) => String(row.fields[field])).join("|"),
  );
}

test("an image has a row for each name, and one without a name", () => {
  expect(imageTexts(["localhost:5000/a/b:v1", "busybox:latest"])).toEqual([
    "localhost:5000/a/b|v1|1.23MB|3 days ago",
    "busybox|latest|1.23MB|3 days ago",
  ]);
  expect(imageTexts([])).toEqual(["<none>|<none>|1.23MB|3 days ago"]);
});

test.each([
  [0, "0B"],
  [999, "999B"],
  [123456, "123.5kB"],
  [98765432101, "98.77GB"],
] as const)("size of %d", (bytes, text) => {
  expect(humanSize(bytes)).toBe(text);
});

test("sizes by powers of 1024", () => {
  expect(binarySize(8_000_000_000)).toBe("7.451GiB");
});

test.each([
  [0, "Less than a second"],
  [1500, "1 second"],
  [59_999, "59 seconds"],
  [61_000, "About a minute"],
  [40 * 60_000, "40 minutes"],
  [3_600_000, "About an hour"],
  [47 * 3_600_000, "47 hours"],
  [50 * 3_600_000, "2 days"],
  [40 * 86_400_000, "5 weeks"],
  [100 * 86_400_000, "3 months"],
  [800 * 86_400_000, "2 years"],
] as const)("duration of %d ms", (ms, text) => {
  expect(humanDuration(ms)).toBe(text);
});

test("columns are as wide as their widest cell, at least ten, three apart; wide letters count once", () => {
  expect(alignTabs("a\tb\nlonger-than-ten\tc\n")).toBe("a                 b\nlonger-than-ten   c\n");
  expect(alignTabs("é…\tb\n")).toBe("é…        b\n");
});

const tcp = (port: number): { PrivatePort: number; Type: string } => ({ PrivatePort: port, Type: "tcp" });

test("ports that follow each other become a range, others stay alone", () => {
  expect(formatPorts([tcp(3), tcp(1), tcp(2), tcp(9)])).toBe("1-3/tcp, 9/tcp");
});

test("an ellipsis counts", () => {
  expect(ellipsis("abcdef", 4)).toBe("abc…");
  expect(ellipsis("abcd", 4)).toBe("abcd");
});
