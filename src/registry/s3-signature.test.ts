import { describe, expect, test } from "bun:test";
import { s3Place } from "./s3-config.ts";
import { canonicalQuery, presignedUrl, sha256Hex, signedHeaders } from "./s3-signature.ts";
import { elementsOf, textOf } from "./s3-xml.ts";

// The worked examples of Amazon's documentation of Signature Version 4 for S3.
const credentials = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
const common = { region: "us-east-1", credentials, atMs: Date.UTC(2013, 4, 24) };
const host = "https://examplebucket.s3.amazonaws.com";

describe("signatures", () => {
  const cases = [
    {
      name: "GET of a range",
      method: "GET",
      path: "/test.txt",
      headers: { range: "bytes=0-9" },
      body: "",
      want: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    },
    {
      name: "PUT with a key that is escaped",
      method: "PUT",
      path: "/test%24file.text",
      headers: { date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" },
      body: "Welcome to Amazon S3.",
      want: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    },
    {
      name: "GET with a query",
      method: "GET",
      path: "/?prefix=J&max-keys=2",
      headers: {},
      body: "",
      want: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    },
  ] as const;
  test.each(cases)("$name", ({ method, path, headers, body, want }) => {
    const url = new URL(host + path);
    const signed = signedHeaders({ ...common, method, url }, headers, sha256Hex(body));
    expect(signed["authorization"]).toEndWith(`Signature=${want}`);
  });

  test("a presigned URL", () => {
    const url = presignedUrl({ ...common, method: "GET", url: new URL(`${host}/test.txt`) }, 86_400);
    expect(url).toEndWith("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
  });

  test("a query in one spelling", () => {
    expect(canonicalQuery(new URL("http://x/?uploads&b=ä b&a=1/2"))).toBe("a=1%2F2&b=%C3%A4%20b&uploads=");
  });
});

describe("places", () => {
  const env = { AWS_ACCESS_KEY_ID: "k", AWS_SECRET_ACCESS_KEY: "s" };
  const cases = [
    [{ bucket: "s3://team" }, "https://team.s3.us-east-1.amazonaws.com/", ""],
    [{ bucket: "s3://team/a/b/", region: "eu-1" }, "https://team.s3.eu-1.amazonaws.com/", "a/b/"],
    [{ bucket: "s3://te.am" }, "https://s3.us-east-1.amazonaws.com/te.am/", ""],
    [{ bucket: "s3://team", endpoint: "http://127.0.0.1:9000" }, "http://127.0.0.1:9000/team/", ""],
    [
      { bucket: "s3://team", endpoint: "https://s3.test/x/", pathStyle: false },
      "https://team.s3.test/x/",
      "",
    ],
  ] as const;
  test.each(cases)("%j", (config, base, prefix) => {
    const place = s3Place(config, env);
    expect([place.base.href, place.prefix]).toEqual([base, prefix]);
  });

  const wrong = ["team", "s3://", "s3://UPPER", "s3://team/../x", "s3://team/a?b", "s3://a"];
  test.each(wrong)("%s is no bucket", (bucket) => {
    expect(() => s3Place({ bucket }, env)).toThrow();
  });

  test("no credentials, and those of a file", async () => {
    expect(() => s3Place({ bucket: "s3://team" }, { HOME: "/nonexistent" })).toThrow("no credentials");
    const path = `/tmp/gantry-aws-${process.pid}`;
    await Bun.write(
      path,
      "[default]\naws_access_key_id = a\n[ other ]\naws_access_key_id=b\naws_secret_access_key = c\n",
    );
    const place = s3Place({ bucket: "s3://team", credentialsFile: path, profile: "other" }, env);
    expect(place.credentials).toMatchObject({ accessKeyId: "b", secretAccessKey: "c" });
    expect(() => s3Place({ bucket: "s3://team", credentialsFile: path }, env)).toThrow("profile default");
    await Bun.file(path).delete();
  });
});

test("XML as S3 writes it", () => {
  const xml = `<?xml version="1.0"?><List xmlns="x"><Part><ETag>&quot;a&#x26;&#60;&quot;</ETag></Part><Part><ETag>b</ETag></Part></List>`;
  expect(elementsOf(xml, "Part").map((part) => textOf(part, "ETag"))).toEqual(['"a&<"', "b"]);
  expect(textOf(xml, "Missing")).toBe("");
});
