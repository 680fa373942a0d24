import { describe, expect, test } from "bun:test";
import { Database, newId } from "../lib/index.ts";
import { ContainerStore } from "./container-store.ts";
import { sampleRecord } from "./sample.test-data.ts";

function open(): { db: Database; store: ContainerStore } {
  const db = new Database(":memory:");
  return { db, store: new ContainerStore(db) };
}

describe("ContainerStore", () => {
  test("finds by id, prefix, name and /name", () => {
    const { store } = open();
    const record = sampleRecord({ id: `abc${newId().slice(3)}`, name: "web" });
    store.insert(record);
    for (const reference of [record.id, "abc", "web", "/web"])
      expect(store.find(reference).record.id).toBe(record.id);
    expect(() => store.find("nope")).toThrow("No such container: nope");
  });

  test("a prefix of several is refused, a name wins over a prefix", () => {
    const { store } = open();
    const a = sampleRecord({ id: `ab1${newId().slice(3)}`, name: "one" });
    const b = sampleRecord({ id: `ab2${newId().slice(3)}`, name: "ab1" });
    store.insert(a);
    store.insert(b);
    expect(() => store.find("ab")).toThrow("multiple IDs found");
    expect(store.find("ab1").record.id).toBe(b.id);
  });

  test("a taken name is a conflict and changes nothing", () => {
    const { store } = open();
    store.insert(sampleRecord({ name: "web" }));
    expect(() => store.insert(sampleRecord({ name: "web" }))).toThrow("already in use");
    expect(store.list()).toHaveLength(1);
  });

  test("state survives reopening and illegal transitions are refused", () => {
    const { db, store } = open();
    const { record } = store.insert(sampleRecord({ name: "web" }));
    store.update(record.id, { status: "running", pid: 42 });
    expect(() => store.update(record.id, { status: "created" })).toThrow("cannot go from running to created");
    const again = new ContainerStore(db);
    expect(again.find("web").state).toMatchObject({ status: "running", pid: 42 });
  });

  test("renaming frees the old name", () => {
    const { store } = open();
    const { record } = store.insert(sampleRecord({ name: "old" }));
    store.rename(record.id, "new");
    expect(store.find("new").record.id).toBe(record.id);
    expect(() => store.find("old")).toThrow();
    expect(store.nameTaken("old")).toBe(false);
  });
});
