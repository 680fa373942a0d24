import { expect, test } from "bun:test";
import { compileTemplate } from "./execute-template.ts";
import { Row } from "./value.ts";

const container = {
  Name: "/web",
  State: { Status: "running", Running: true, Pid: 12 },
  Config: { Env: ["A=b", "C=<d>&"], Labels: { "a.b": "c" } },
  Binds: null,
  Mounts: [],
  Ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }] },
};

/** Every expected text was printed by docker 28.2.2 for the same data, but for the last four, which are Go's rules. */
const prints = [
  ["{{.State.Pid}} {{json .Config.Env}}", '12 ["A=b","C=\\u003cd\\u003e\\u0026"]'],
  ['{{index .Config.Labels "a.b"}}', "c"],
  ["{{range .Config.Env}}{{println .}}{{end}}", "A=b\nC=<d>&\n"],
  ["{{range $p, $c := .Ports}}{{$p}}->{{(index $c 0).HostPort}} {{end}}", "80/tcp->8080 "],
  [
    "{{.Config.Env}} {{.Config.Labels}} {{.Binds}} {{.State.Running}} {{.Mounts}}",
    "[A=b C=<d>&] map[a.b:c] [] true []",
  ],
  ["{{with .State}}{{.Status}}{{end}} {{.Name | upper}}", "running /WEB"],
  ['{{if eq .Name "/web"}}Y{{else}}N{{end}}', "Y"],
  ["{{if .Mounts}}a{{else if .Binds}}b{{else}}c{{end}}", "c"],
  ['{{join (split .Name "e") "-"}} {{len .Name}} {{title "ab cd"}}', "/w-b 4 Ab Cd"],
  ["{{range $i, $x := .Config.Env}}{{if $i}}, {{end}}{{$x}}{{end}}", "A=b, C=<d>&"],
  ['{{printf "%s-%05d|%-4s|%q" .Name .State.Pid "a" "b"}}', '/web-00012|a   |"b"'],
  ["a {{- /* nothing */ -}} b", "ab"],
  ["x  {{- 1 -}}  y", "x1y"],
  ['{{$x := "a"}}{{if true}}{{$x = "b"}}{{end}}{{$x}}', "b"],
  ["{{range 5}}{{if eq . 1}}{{continue}}{{end}}{{if gt . 2}}{{break}}{{end}}{{.}}{{end}}", "02"],
  ['{{slice .Name 1}} {{slice "abcdef" 1 3}} {{pad "x" 1 2}}|{{truncate "abcdef" 2}}', "web bc  x  |ab"],
] as const;

test.each(prints)("%s", (template, text) => {
  expect(compileTemplate(template)(container)).toBe(text);
});

const complaints = [
  ["{{.Foo}}", 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'],
  ["{{.State.Foo}}", 'template: :1:8: executing "" at <.State.Foo>: map has no entry for key "Foo"'],
  [
    "{{(index .Binds 0).X}}",
    'template: :1:3: executing "" at <index .Binds 0>: error calling index: index of untyped nil',
  ],
  [
    "{{slice .Name 0 9}}",
    'template: :1:2: executing "" at <slice .Name 0 9>: error calling slice: index out of range: 9',
  ],
  ["{{.Foo", "template: :1: unclosed action"],
  ["\n{{.Name | foo}}", 'template: :2: function "foo" not defined'],
  ["{{if .Name}}", "template: :1: unexpected EOF"],
  ["{{$x}}", 'template: :1: undefined variable "$x"'],
  ["{{end}}", "template: :1: unexpected {{end}}"],
] as const;

test.each(complaints)("refuses %s", (template, message) => {
  expect(() => compileTemplate(template)(container)).toThrow(message);
});

test("a row has methods, and its JSON has none of those that need arguments", () => {
  const row = new Row("*formatter.ContainerContext", {
    ID: "1",
    Label: (name: unknown) => `<${String(name)}>`,
    A: "x",
  });
  expect(compileTemplate('{{.Label "k"}} {{json .}}')(row)).toBe('<k> {"A":"x","ID":"1"}');
  expect(() => compileTemplate("{{.Foo}}")(row)).toThrow(
    "can't evaluate field Foo in type *formatter.ContainerContext",
  );
});

test("names that JavaScript has on every object are no fields", () => {
  expect(() => compileTemplate("{{.constructor}}")(container)).toThrow("map has no entry");
  expect(() => compileTemplate("{{toString}}")(container)).toThrow("not defined");
});
