import { expect, test } from "bun:test";
import { verdict } from "./aci-signature.ts";

const good = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG AB Somebody\n[GNUPG:] VALIDSIG F00D 2026-11-25\n";

test("a good signature is the key's fingerprint", () => {
  expect(verdict({ status: good, words: "", ended: true })).toBe("F00D");
});

test.each([
  ["gpgv was killed after it said good", good, false, "did not come to its end"],
  ["one of two is bad", `${good}[GNUPG:] BADSIG CD Other\n`, true, "the signature is bad"],
  ["words that only look like gpgv's", good.replaceAll("[GNUPG:] ", ""), true, "no signature"],
  ["the key has expired", good.replace("GOODSIG", "EXPKEYSIG"), true, "has expired"],
  ["nothing at all", "", true, "no signature"],
])("refused: %s", (_, status, ended, why) => {
  expect(() => verdict({ status, words: "", ended })).toThrow(why);
});
