import { expect, test } from "bun:test";
import { startFailure } from "./start-report.ts";

test.each([
  [
    "131 5 startContainer hook #0: /x: exit status 4: a\n b\n",
    "error running startContainer hook #0: /x: exit status 4: a; b",
    "canceled",
  ],
  [
    "131 110 startContainer hook #0: /x: hook ran past specified timeout of 1s",
    "error running startContainer hook #0: /x: hook ran past specified timeout of 1s",
    "timeout",
  ],
  ["93 8 /bin/x", "exec /bin/x: exec format error", "command-not-executable"],
] as const)("%j", (text, message, code) => {
  expect(startFailure(text)).toMatchObject({ message, code });
});
