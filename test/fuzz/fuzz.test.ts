/** A short, reproducible run of the fuzzers; `make fuzz` runs them for long. Needs `make sanitize`. */
import { expect, test } from "bun:test";
import { fuzzConfigs, fuzzPlans } from "./config-fuzz.ts";
import { seedConfigs } from "./seeds.ts";
import { tryConfig } from "./try-config.ts";

test("what fuzzing starts from is valid and has plans", () => {
  for (const config of seedConfigs) {
    const { valid, plans } = tryConfig(config);
    expect(valid).toBe(true);
    expect(plans.length).toBeGreaterThan(0);
  }
});

test("any config is refused in our words or gives a plan that gantry-init takes", () => {
  const count = { configs: 0, valid: 0, plans: 0 };
  for (let seed = 1; seed <= 4; seed++) fuzzConfigs(seed, 250, count);
  expect(count.configs).toBe(1000);
  expect(count.valid).toBeGreaterThan(100);
  expect(count.plans).toBeGreaterThan(300);
});

test("no bytes bring the plan decoder to read or write beyond them", () => {
  expect(fuzzPlans(1, 3)).toMatch(/^\d+ plans, \d+ of them accepted/);
});
