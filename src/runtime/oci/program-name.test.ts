import { expect, test } from "bun:test";
import { programName, setProgramName } from "./program-name.ts";

test("the last part of the caller's word, unless it is none", () => {
  expect(programName()).toBe("gantry-oci");
  setProgramName("/usr/bin/runc");
  expect(programName()).toBe("runc");
  for (const word of ["", "/usr/bin/", "a b", "x\ny"]) setProgramName(word);
  expect(programName()).toBe("runc");
  setProgramName("gantry-oci");
  expect(programName()).toBe("gantry-oci");
});
